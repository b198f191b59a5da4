"""Proves: each change has one consequence, with a note that explains it.

Does not prove that an API server refuses what the table of immutable fields says; tests/cluster upgrades real releases.
"""

import pytest
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.report import Change, Report

from tests.support.manifests import ENGINE, changes, deployment, edited, manifest, pvc, stateful_set

HOOK = {"annotations": {"helm.sh/hook": "test"}}
KEEP = {"annotations": {"helm.sh/resource-policy": "keep"}}
BOUND = manifest("RoleBinding", roleRef={"name": "a"}, subjects=[{"name": "x"}])


def rolling(labels: dict[str, str], surge: int | str, replicas: int, **container: object) -> KubeObject:
    """Return a Deployment of that many pods, of which so many more may run during a rollout."""
    body = edited(deployment(labels, **container), "spec/strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge}})
    return edited(body, "spec/replicas", replicas)


@pytest.mark.parametrize(
    ("old", "new", "consequence", "note"),
    [
        (deployment(), edited(deployment(), "spec/selector/matchLabels", {"app": "x"}), "refused", "selector"),
        (stateful_set(), stateful_set(serviceName="b"), "refused", "StatefulSet"),
        (stateful_set(), stateful_set(volumeClaimTemplates=[{"metadata": {"name": "d"}}]), "refused", "StatefulSet"),
        (manifest("Job", spec={"template": {"a": 1}}), manifest("Job", spec={"template": {"a": 2}}), "refused", "Job"),
        (pvc("2Gi"), edited(pvc("2Gi"), "spec/storageClassName", "fast"), "refused", "create a new PVC"),
        (pvc("2Gi"), edited(pvc("2Gi"), "spec/accessModes", ["ReadWriteMany"]), "refused", "create a new PVC"),
        (pvc("2Gi"), pvc("2000Mi"), "refused", "cannot shrink"),
        (manifest("Service", spec={"clusterIP": "None"}), manifest("Service", spec={"clusterIP": "10.0.0.1"}), "refused", "cluster IP"),
        (BOUND, BOUND | {"roleRef": {"name": "b"}}, "refused", "roleRef"),
        (manifest("ConfigMap", immutable=True, data={"a": "1"}), manifest("ConfigMap", immutable=True, data={"a": "2"}), "refused", "immutable"),
        (manifest("Secret", immutable=True, data={"a": "1"}), manifest("Secret", immutable=True, data={"a": "2"}), "refused", "immutable"),
        (manifest("Secret", type="Opaque"), manifest("Secret", type="kubernetes.io/tls"), "refused", "type"),
        (manifest("StorageClass", provisioner="a"), manifest("StorageClass", provisioner="b"), "refused", "another name"),
        (pvc("1Gi"), pvc("1025Mi"), "data", "is expanded"),
        (pvc("1Gi"), edited(pvc("1Gi"), "spec/volumeAttributesClassName", "fast"), "data", ""),
        (None, pvc("1Gi"), "data", "a new volume of 1Gi"),
        (pvc("1Gi", metadata=KEEP), None, "data", "keep: the PVC and its data stay"),
        (pvc("1Gi"), None, "data", "Helm deletes the PVC"),
        (pvc("1Gi", metadata=KEEP), pvc("1Gi"), "data", "helm uninstall now deletes the PVC"),
        (None, manifest("Secret", data={"a": "1"}), "secret", ""),
        (manifest("Secret", data={"a": "1"}), None, "secret", ""),
        (manifest("Secret", data={"a": "1"}), manifest("Secret", data={"a": "2"}), "secret", "the value differs"),
        (manifest("Secret", stringData={"a": "1"}), manifest("Secret", stringData={"a": "1", "b": "2"}), "secret", ""),
        (deployment(ENGINE), deployment(ENGINE, image="web:2"), "engine reloads", "does not answer until the weights"),
        (rolling(ENGINE, 0, 1), rolling(ENGINE, 0, 1, image="web:2"), "engine reloads", "does not answer until the weights"),
        (rolling(ENGINE, 0, 2), rolling(ENGINE, 0, 2, image="web:2"), "engine reloads", "one engine after the other"),
        (rolling(ENGINE, "25%", 2), rolling(ENGINE, "25%", 2, image="web:2"), "engine reloads", "needs another GPU"),
        (deployment(ENGINE), None, "engine reloads", "no longer served"),
        (deployment(), deployment(image="web:2"), "pods restart", "Recreate"),
        (stateful_set(), edited(stateful_set(), "spec/template/spec/containers/0/image", "web:2"), "pods restart", "a new pod"),
        (None, deployment(), "pods restart", "new pods start"),
        (deployment(), edited(deployment(), "spec/template/metadata/labels/helm.sh~chart", "a-2"), "pods restart", ""),
        (manifest("Service", spec={"type": "ClusterIP"}), manifest("Service", spec={"type": "NodePort"}), "network", ""),
        (manifest("Service", spec={"clusterIP": "10.0.0.1"}), manifest("Service", spec={}), "network", ""),
        (manifest("NetworkPolicy", spec={"podSelector": {}}), None, "network", ""),
        (manifest("Ingress"), edited(manifest("Ingress"), "metadata/annotations/a", "b"), "network", ""),
        (manifest("Role", rules=[{"verbs": ["get"]}]), manifest("Role", rules=[{"verbs": ["get", "list"]}]), "access", ""),
        (BOUND, BOUND | {"subjects": [{"name": "x"}, {"name": "y"}]}, "access", ""),
        (None, manifest("ServiceAccount"), "access", ""),
        (deployment(), edited(deployment(), "spec/replicas", 2), "other", "do not restart"),
        (deployment(), edited(deployment(), "spec/strategy/type", "RollingUpdate"), "other", ""),
        (deployment(), edited(deployment(), "metadata/labels/team", "a"), "other", ""),
        (manifest("Job", metadata=HOOK, spec={"template": {"a": 1}}), manifest("Job", metadata=HOOK, spec={"template": {"a": 2}}), "other", "hook"),
        (manifest("CustomResourceDefinition", spec={"a": 1}), manifest("CustomResourceDefinition", spec={"a": 2}), "other", "use kubectl"),
        (manifest("ConfigMap", data={"a": "1"}), None, "other", ""),
    ],
)
def test_each_change_has_its_consequence(old: KubeObject | None, new: KubeObject | None, consequence: str, note: str) -> None:
    (change,) = changes([old] if old else [], [new] if new else [])
    assert (change.consequence, note in change.note) == (consequence, True), change


def test_a_stateful_sets_mutable_fields_are_not_refused() -> None:
    new = stateful_set(minReadySeconds=3, ordinals={"start": 1}, revisionHistoryLimit=2, updateStrategy={"type": "OnDelete"}, replicas=3)
    new["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": "Retain"}
    assert {change.consequence for change in changes([stateful_set()], [new])} == {"other"}


def test_another_kind_of_the_same_name_replaces_it() -> None:
    """Helm matches by kind: it creates the one and deletes the other, which no API server refuses."""
    new = stateful_set() | {"apiVersion": "apps/v1", "metadata": {"name": "web"}}
    assert [(change.consequence, change.note) for change in changes([deployment()], [new])] == [
        ("pods restart", "replaces the Deployment of the same name"),
        ("pods restart", "is replaced by the StatefulSet of the same name"),
    ]


def environment(digest: str, name: str) -> list[KubeObject]:
    config = manifest("ConfigMap", metadata={"name": f"chat-webui-env-{digest}"}, data={"WEBUI_NAME": name})
    return [config, deployment(envFrom=[{"configMapRef": {"name": f"chat-webui-env-{digest}"}}])]


def test_a_changed_environment_is_one_change_that_restarts_the_pods_that_load_it() -> None:
    (change,) = changes(environment("0123456789", "a"), environment("abcdef0123", "b"))
    assert (change.consequence, change.object, change.path) == ("pods restart", "ConfigMap/chat-webui-env-*", "data.WEBUI_NAME")
    assert change.note.startswith("environment changed, which restarts Deployment/web")


def test_another_hash_without_another_variable_restarts_the_pods_too() -> None:
    (change,) = changes(environment("0123456789", "a"), environment("abcdef0123", "a"))
    assert (change.consequence, change.path, change.old, change.new) == (
        "pods restart",
        "metadata.name",
        "chat-webui-env-0123456789",
        "chat-webui-env-abcdef0123",
    )


def test_an_environment_that_changes_under_the_same_name_restarts_nothing() -> None:
    (change,) = changes(environment("0123456789", "a"), environment("0123456789", "b"))
    assert change.consequence == "other"
    assert change.note == "does not restart Deployment/web: mounted files are updated, environment variables only at the next restart"


def test_a_threshold_includes_what_is_more_severe() -> None:
    report = Report("old", "new", ("s",), {Change("engine reloads", "a/b", "c", "1", "2"): ("s",)})
    assert [name for name in CONSEQUENCES if report.at_least(name)] == ["engine reloads", "pods restart", "network", "access", "other"]
