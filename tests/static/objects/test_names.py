"""Proves: the API server accepts every name, label, annotation, port name, variable name and key: its characters and its length.

The patterns and lengths are those of Kubernetes' validation (k8s.io/apimachinery/pkg/util/validation).
"""

import re
from collections import Counter
from collections.abc import Iterator

from scout_chat.chart.render import Case, Object
from scout_chat.core.kubeyaml import KubeObject

from tests.support.object_index import Manifests
from tests.support.rules import ENGINE, ENVIRONMENT, MAIN, NEW, POD, ROLE, SERVICE, WEBUI, Defect, Found, Rule, assert_found, assert_holds, new

_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL = re.compile(_PART)
LABEL_1035 = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(rf"{_PART}(?:\.{_PART})*")
PATH = re.compile(r"(?!\.{1,2}$)[^/%]+")
QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
PORT = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
KEY = re.compile(r"[-._a-zA-Z0-9]+")

# Pattern and length of a name by kind. A StatefulSet's pods have its name and ten more characters in a label; a CronJob's jobs add eleven.
BY_KIND = {"Service": (LABEL_1035, 63), "Namespace": (LABEL, 63), "CronJob": (SUBDOMAIN, 52), "StatefulSet": (LABEL, 52), "Job": (SUBDOMAIN, 63)}
BY_KIND |= dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), (PATH, 253))


def names(manifests: Manifests) -> Iterator[Found]:
    """Check the names of objects, labels, annotations, ports, variables and keys."""
    for item in manifests.objects:
        pattern, longest = BY_KIND.get(item.kind, (SUBDOMAIN, 253))
        yield from _check(item, "metadata.name", item.name, pattern, longest)
    for key, times in Counter((item.body["apiVersion"].rpartition("/")[0], item.kind, item.name) for item in manifests.objects).items():
        if times > 1:
            yield next(item for item in manifests.objects if (item.kind, item.name) == key[1:]), f"{times} objects are called this"
    for item, path, node in manifests.nodes:
        if path and isinstance(node, dict):
            where = ".".join(path)
            if path[-1] in ("labels", "matchLabels", "nodeSelector") or (item.kind == "Service" and path == ("spec", "selector")):
                yield from _labels(item, where, node)
            elif path[-1] == "annotations":
                yield from (found for key in node for found in _key(item, where, key.lower()))
                if sum(len(key) + len(str(value)) for key, value in node.items()) > 256 * 1024:
                    yield item, f"{where} are more than 256 KiB"
    for item in manifests.of("ConfigMap", "Secret"):
        for key in [key for part in ("data", "stringData", "binaryData") for key in item.body.get(part) or {}]:
            yield from _check(item, f"data.{key}", key, KEY, 253)
    for item in manifests.of("Service"):
        for entry in item.body["spec"].get("ports") or []:
            yield from _check(item, "spec.ports: name", entry.get("name", "a"), LABEL, 63)
            if isinstance(entry.get("targetPort"), str):
                yield from _check(item, "spec.ports: targetPort", entry["targetPort"], PORT, 15)
    yield from _in_pods(manifests)


def _in_pods(manifests: Manifests) -> Iterator[Found]:
    for pod in manifests.pods:
        for field in ("hostname", "subdomain"):
            yield from _check(pod.owner, field, pod.spec.get(field) or "a", LABEL, 63)
        for volume in pod.spec.get("volumes") or []:
            yield from _check(pod.owner, "volumes: name", volume["name"], LABEL, 63)
        for name, part in pod.containers:
            yield from _check(pod.owner, "containers: name", part["name"], LABEL, 63)
            for port in part.get("ports") or []:
                yield from _check(pod.owner, f"{name}: ports: name", port.get("name", "a"), PORT, 15)
            for variable in part.get("env") or []:
                yield from _check(pod.owner, f"{name}: env: name", variable["name"], VARIABLE, 32768)


def _check(item: Object, where: str, value: str, pattern: re.Pattern[str], longest: int) -> Iterator[Found]:
    if len(value) > longest:
        yield item, f"{where} has {len(value)} characters, and {longest} are allowed: {value}"
    if not pattern.fullmatch(value):
        yield item, f"{where} is {value!r}, which Kubernetes does not take"


def _key(item: Object, where: str, key: str) -> Iterator[Found]:
    prefix, slash, name = key.rpartition("/")
    yield from _check(item, f"{where}: the key", name, QUALIFIED, 63)
    if slash:
        yield from _check(item, f"{where}: the prefix of the key", prefix, SUBDOMAIN, 253)


def _labels(item: Object, where: str, labels: KubeObject) -> Iterator[Found]:
    for key, value in labels.items():
        yield from _key(item, where, key)
        if value:
            yield from _check(item, f"{where}.{key}", str(value), QUALIFIED, 63)


NAMES = Rule("names", names)

DEFECTS: list[Defect] = [
    (SERVICE, "metadata name", "x" * 64, "metadata.name has 64 characters, and 63 are allowed"),
    (SERVICE, "metadata name", "1-chat", "metadata.name is '1-chat', which Kubernetes does not take"),
    (WEBUI, "metadata name", "Chat", "metadata.name is 'Chat'"),
    (WEBUI, "metadata name", "x" * 254, "metadata.name has 254 characters"),
    (ROLE, "metadata name", "a/b", "metadata.name is 'a/b'"),
    (ROLE, "metadata name", "system:A", None),
    (NEW, "", new("batch/v1", "CronJob", metadata={"name": "x" * 53}, spec={"jobTemplate": {"spec": {"template": {"spec": {}}}}}), "52 are allowed"),
    (NEW, "", new("v1", "Service", metadata={"name": "chat-open-webui"}, spec={}), "2 objects are called this"),
    (WEBUI, "spec template metadata labels x", "y" * 64, "spec.template.metadata.labels.x has 64 characters"),
    (WEBUI, "metadata labels x", "a b", "metadata.labels.x is 'a b'"),
    (WEBUI, "metadata labels a/b/c", "x", "metadata.labels: the prefix of the key is 'a/b'"),
    (WEBUI, "spec selector matchLabels -x", "y", "spec.selector.matchLabels: the key is '-x'"),
    (SERVICE, "spec selector x", "y_", "spec.selector.x is 'y_'"),
    (ENGINE, f"{POD} nodeSelector", {"gpu": "H100 80"}, "nodeSelector.gpu is 'H100 80'"),
    (WEBUI, "metadata annotations", {"x" * 64: ""}, "metadata.annotations: the key has 64 characters"),
    (WEBUI, "metadata annotations", {"x": "y" * 2**18}, "metadata.annotations are more than 256 KiB"),
    (ENVIRONMENT, "data a/b", "", "data.a/b is 'a/b'"),
    (SERVICE, "spec ports 0 name", "Http", "spec.ports: name is 'Http'"),
    (SERVICE, "spec ports 0 targetPort", "sixteen-letters-", "spec.ports: targetPort has 16 characters"),
    (ENGINE, f"{POD} hostname", "x" * 64, "hostname has 64 characters"),
    (ENGINE, f"{POD} subdomain", "a.b", "subdomain is 'a.b'"),
    (WEBUI, f"{POD} volumes 0 name", "a_b", "volumes: name is 'a_b'"),
    (WEBUI, f"{MAIN} name", "a.b", "containers: name is 'a.b'"),
    (WEBUI, f"{MAIN} ports 0 name", "8080", "container open-webui: ports: name is '8080'"),
    (WEBUI, f"{MAIN} env 0 name", "A B", "container open-webui: env: name is 'A B'"),
]


def test_every_name_is_one_that_kubernetes_accepts(case: Case) -> None:
    assert_holds(NAMES, case)


def test_planted_defects_are_found() -> None:
    assert_found(NAMES, DEFECTS)
