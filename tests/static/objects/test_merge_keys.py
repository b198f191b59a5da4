"""Proves: no list has two entries that Kubernetes cannot tell apart.

Server-side apply refuses such a list, and a strategic merge drops one of the entries.
"""

from collections.abc import Iterable, Iterator

from scout_chat.chart import kubernetes
from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import ENGINE, MAIN, POD, SERVICE, WEBUI, Defect, Found, Rule, assert_found, assert_holds


def merge_keys(manifests: Manifests) -> Iterator[Found]:
    """Use the merge keys of Kubernetes' schemas, and names and ports that the schemas do not mark as keys."""
    for item in manifests.objects:
        yield from ((item, problem) for problem in kubernetes.duplicates(item.body, manifests.case.kubernetes))
    for item in manifests.of("Service"):
        yield from ((item, f"spec.ports: two are called {name}") for name in _twice(port.get("name") for port in item.body["spec"].get("ports") or []))
    for pod in manifests.pods:
        yield from ((pod.owner, f"two containers are called {name}") for name in _twice(part["name"] for _, part in pod.containers))
        yield from ((pod.owner, f"tolerations: twice {entry}") for entry in _twice(pod.spec.get("tolerations") or []))
        for name, part in pod.containers:
            ports = part.get("ports") or []
            yield from ((pod.owner, f"{name}: two ports are called {twice}") for twice in _twice(port.get("name") for port in ports))
            # A merge by the client uses the number alone as the key.
            yield from ((pod.owner, f"{name}: two ports are {twice}") for twice in _twice(port["containerPort"] for port in ports))
            yield from ((pod.owner, f"{name}: envFrom: twice {twice}") for twice in _twice(part.get("envFrom") or []))


def _twice(values: Iterable[object]) -> list[object]:
    found = [value for value in values if value is not None]
    return [value for number, value in enumerate(found) if value in found[:number]]


MERGE_KEYS = Rule("merge-keys", merge_keys, by_minor=True)

DEFECTS: list[Defect] = [
    (WEBUI, f"{MAIN} env +", {"name": "WEBUI_URL"}, "$.spec.template.spec.containers[0].env: two entries of name WEBUI_URL"),
    (WEBUI, f"{MAIN} ports +", {"containerPort": 8080, "protocol": "TCP"}, "ports: two entries of containerPort 8080, protocol TCP"),
    (WEBUI, f"{MAIN} ports +", {"containerPort": 8080, "protocol": "UDP"}, "container open-webui: two ports are 8080"),
    (WEBUI, f"{MAIN} ports +", {"containerPort": 9090, "name": "http"}, "container open-webui: two ports are called http"),
    (WEBUI, f"{MAIN} envFrom", [{"secretRef": {"name": "a"}}] * 2, "container open-webui: envFrom: twice"),
    (WEBUI, f"{MAIN} volumeMounts +", {"name": "data", "mountPath": "/app/backend/data"}, "volumeMounts: two entries of mountPath"),
    (WEBUI, f"{POD} volumes +", {"name": "data", "emptyDir": {}}, "volumes: two entries of name data"),
    (WEBUI, f"{POD} imagePullSecrets", [{"name": "a"}] * 2, "imagePullSecrets: two entries of name a"),
    (WEBUI, f"{POD} initContainers 0 name", "open-webui", "two containers are called open-webui"),
    (ENGINE, f"{POD} tolerations", [{"operator": "Exists"}] * 2, "tolerations: twice"),
    (SERVICE, "spec ports +", {"port": 80, "name": "again"}, "$.spec.ports: two entries of port 80, protocol TCP"),
    (SERVICE, "spec ports +", {"port": 81, "name": "http"}, "spec.ports: two are called http"),
    (WEBUI, "metadata finalizers", ["a", "a"], "$.metadata.finalizers: two entries of a"),
]


def test_no_list_has_two_entries_of_one_merge_key(case: Case) -> None:
    assert_holds(MERGE_KEYS, case)


def test_planted_defects_are_found() -> None:
    assert_found(MERGE_KEYS, DEFECTS)
