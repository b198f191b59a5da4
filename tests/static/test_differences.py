"""Proves: two objects are compared as Kubernetes reads them.

List items are compared by what identifies them; differences without an effect on the cluster are left out.
"""

import pytest
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.review import diff
from scout_chat.review.tree import Difference, differences

from tests.support.manifests import changes, deployment, edited, manifest


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([{"name": "a", "value": "1"}, {"name": "b"}], [{"name": "b"}, {"name": "a", "value": "1"}], [("x (order)", "a, b", "b, a")]),
        ([{"name": "a"}, {"name": "c"}], [{"name": "a"}, {"name": "b"}, {"name": "c"}], [("x[b]", None, {"name": "b"})]),
        ([{"name": "a", "value": "1"}], [{"name": "a", "value": "2"}], [("x[a].value", "1", "2")]),
        ([{"port": 1, "p": 1}], [{"port": 1, "p": 2}], [("x[1].p", 1, 2)]),
        ([{"key": "a", "v": 1}, {"key": "a", "v": 2}], [{"key": "a", "v": 2}], [("x[0]", {"key": "a", "v": 1}, None)]),
        (["a", "b", "c"], ["a", "c"], [("x[1]", "b", None)]),
        (["a", "c"], ["a", "b", "c"], [("x[1]", None, "b")]),
        (["run", "--port", "1", "--on"], ["run", "--port", "2", "--on"], [("x[--port]", "1", "2")]),
        (["--port=1"], ["--port=1", "--on"], [("x[--on]", None, "given")]),
        (["--a", "1", "--b", "2"], ["--b", "2", "--a", "1"], [("x (order)", "--a, --b", "--b, --a")]),
        (["--s", "1", "--s", "2"], ["--s", "1", "--s", "3"], [("x[--s][1]", "2", "3")]),
        ([1], [True], [("x[0]", 1, True)]),
        ('{"a": {"b": 1}}', '{"a":{"b": 2}}', [("x » a.b", 1, 2)]),
        ('{"a": 1}', '{"a":1}', [("x", '{"a": 1}', '{"a":1}')]),
        ({"a/b": 1}, {"a/b": 2}, [("x[a/b]", 1, 2)]),
    ],
)
def test_values_without_a_schema_are_compared_as_people_read_them(old: object, new: object, expected: list[Difference]) -> None:
    assert list(differences(old, new, "x")) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (deployment(), deployment(env=None)),
        (deployment(), deployment(args=[])),
        (deployment(resources={"limits": {"cpu": "1000m"}}), deployment(resources={"limits": {"cpu": 1}})),
        (deployment(), edited(deployment(), "metadata/namespace", "chat")),
        (deployment(), edited(deployment(), "metadata/annotations", {})),
        (deployment(), edited(deployment(), "metadata/labels/x", None)),
        (manifest("ConfigMap"), manifest("ConfigMap", data={})),
        (manifest("Secret", stringData={"a": "1"}), manifest("Secret", data={"a": "MQ=="})),
    ],
)
def test_values_that_are_the_same_to_kubernetes_do_not_differ(old: KubeObject, new: KubeObject) -> None:
    assert changes([old], [new]) == []


def paths(old: KubeObject, new: KubeObject) -> list[str]:
    return [change.path for change in changes([old], [new])]


def test_list_items_are_identified_by_the_keys_of_kubernetes_schema() -> None:
    """Server-side apply merges by the same keys, so a port of another protocol is another port."""
    container = "spec.template.spec.containers[main]"
    udp = [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "dns-tcp", "containerPort": 53}]
    assert paths(deployment(ports=udp), deployment(ports=[udp[0], {"name": "tcp", "containerPort": 53, "protocol": "TCP"}])) == [
        f"{container}.ports[53/TCP].name",
        f"{container}.ports[53/TCP].protocol",
    ]
    mounts = [{"name": "weights", "mountPath": "/a", "subPath": "a"}, {"name": "weights", "mountPath": "/b", "subPath": "b"}]
    assert paths(deployment(volumeMounts=mounts), deployment(volumeMounts=mounts[1:])) == [f"{container}.volumeMounts[/a]"]
    old, new = (deployment(volumeMounts=[{"name": "weights", "mountPath": path}]) for path in ("/models", "/data"))
    assert paths(old, new) == [f"{container}.volumeMounts[/models]", f"{container}.volumeMounts[/data]"]
    service = manifest("Service", spec={"ports": [{"name": "http", "port": 80, "targetPort": 8080}]})
    assert paths(service, edited(service, "spec/ports/0/targetPort", 9090)) == ["spec.ports[80/TCP].targetPort"]


def test_lists_that_kubernetes_replaces_as_a_whole_are_compared_by_name() -> None:
    """The schema calls them atomic; a reader still wants to know which item differs."""
    binding = manifest("RoleBinding", subjects=[{"kind": "User", "name": "x"}, {"kind": "User", "name": "y"}])
    binding["apiVersion"] = "rbac.authorization.k8s.io/v1"
    assert paths(binding, edited(binding, "subjects/1/kind", "Group")) == ["subjects[y].kind"]
    tolerations = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    pod = manifest("Pod", spec=tolerations)
    assert paths(pod, edited(pod, "spec/tolerations/0/operator", "Equal")) == ["spec.tolerations[nvidia.com/gpu].operator"]


def labeled(chart: str, version: str) -> KubeObject:
    return manifest("Service", {"labels": {"helm.sh/chart": chart, "app.kubernetes.io/version": version}})


def test_differences_without_an_effect_are_left_out_and_no_others() -> None:
    assert changes([labeled("scout-chat-0.1.0", "1")], [labeled("scout-chat-0.2.0-rc.1", "2")]) == []
    assert len(changes([labeled("scout-chat-0.1.0", "1")], [labeled("other-0.1.0", "1")])) == 1
    old, new = (manifest("Secret", {"name": "chat-webui-secrets"}, data={"key": value}) for value in ("a", "b"))
    assert changes([old], [new]) == []
    assert len(changes([old], [new], chart="vllm-stack")) == 1
    assert len(changes([old], [edited(old, "data/more", "x")])) == 1
    assert all(noise.reason for noise in diff.NOISE)
