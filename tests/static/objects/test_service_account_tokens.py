"""Proves: a pod has a token for the Kubernetes API exactly where a role is bound to its ServiceAccount."""

from collections.abc import Iterator

from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import BINDING, DROP, POD, ROUTER, TEST, WEBUI, Defect, Found, Rule, assert_found, assert_holds


def tokens(manifests: Manifests) -> Iterator[Found]:
    bindings = manifests.of("RoleBinding", "ClusterRoleBinding")
    bound = {subject["name"] for item in bindings for subject in item.body.get("subjects") or [] if subject["kind"] == "ServiceAccount"}
    for pod in manifests.pods:
        account = pod.spec.get("serviceAccountName", "default")
        held = (manifests.get("ServiceAccount", account) or {}).get("automountServiceAccountToken")
        mounted = pod.spec.get("automountServiceAccountToken", True if held is None else held)
        if mounted and account not in bound:
            yield pod.owner, f"automountServiceAccountToken is not false, and no role is bound to account {account}"
        if not mounted and account in bound:
            yield pod.owner, f"a role is bound to account {account}, and its token is not mounted"


TOKENS = Rule("tokens", tokens)

DEFECTS: list[Defect] = [
    (TEST, "spec automountServiceAccountToken", DROP, "automountServiceAccountToken is not false, and no role is bound to account default"),
    (WEBUI, f"{POD} automountServiceAccountToken", True, "no role is bound to account chat-open-webui-sa"),
    (BINDING, "subjects", [], "no role is bound to account chat-router-service-account"),
    (ROUTER, f"{POD} automountServiceAccountToken", False, "a role is bound to account chat-router-service-account, and its token is not mounted"),
]


def test_only_a_pod_whose_account_has_a_role_mounts_its_token(case: Case) -> None:
    assert_holds(TOKENS, case)


def test_planted_defects_are_found() -> None:
    assert_found(TOKENS, DEFECTS)
