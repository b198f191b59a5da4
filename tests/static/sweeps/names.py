"""Rules about names: what the API server would refuse for its characters or its length."""

import re
from collections import Counter
from collections.abc import Iterator

from scout_chat.chart.render import Object

from tests.static.sweeps.index import Found, Render, walk

_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
LABEL = re.compile(_PART)
LABEL_1035 = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(rf"{_PART}(?:\.{_PART})*")
PATH = re.compile(r"(?!\.{1,2}$)[^/%]+")
QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
PORT = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
KEY = re.compile(r"[-._a-zA-Z0-9]+")

# Pods of a StatefulSet carry its name and ten characters in a label, jobs of a CronJob its name and eleven.
BY_KIND = {"Service": (LABEL_1035, 63), "Namespace": (LABEL, 63), "CronJob": (SUBDOMAIN, 52), "StatefulSet": (LABEL, 52), "Job": (SUBDOMAIN, 63)}
BY_KIND |= dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), (PATH, 253))


def names(render: Render) -> Iterator[Found]:
    """Names, labels, annotations, ports, variables and keys are such as the API server takes."""
    for item in render.objects:
        pattern, longest = BY_KIND.get(item.kind, (SUBDOMAIN, 253))
        yield from _check(item, "metadata.name", item.name, pattern, longest)
    for key, times in Counter((item.body["apiVersion"].rpartition("/")[0], item.kind, item.name) for item in render.objects).items():
        if times > 1:
            yield next(item for item in render.objects if (item.kind, item.name) == key[1:]), f"{times} objects are called this"
    for item in render.installed:
        for path, node in walk(item.body):
            if path and isinstance(node, dict):
                where = ".".join(path)
                if path[-1] in ("labels", "matchLabels", "nodeSelector") or (item.kind == "Service" and path == ("spec", "selector")):
                    yield from _labels(item, where, node)
                elif path[-1] == "annotations":
                    yield from (found for key in node for found in _key(item, where, key.lower()))
                    if sum(len(key) + len(str(value)) for key, value in node.items()) > 256 * 1024:
                        yield item, f"{where} are more than 256 KiB"
    for item in render.of("ConfigMap", "Secret"):
        for key in [key for part in ("data", "stringData", "binaryData") for key in item.body.get(part) or {}]:
            yield from _check(item, f"data.{key}", key, KEY, 253)
    for item in render.of("Service"):
        for entry in item.body["spec"].get("ports") or []:
            yield from _check(item, "spec.ports: name", entry.get("name", "a"), LABEL, 63)
            if isinstance(entry.get("targetPort"), str):
                yield from _check(item, "spec.ports: targetPort", entry["targetPort"], PORT, 15)
    yield from _in_pods(render)


def _in_pods(render: Render) -> Iterator[Found]:
    for pod in render.pods:
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


def _check(item: Object, where: str, value: str, pattern: re.Pattern, longest: int) -> Iterator[Found]:
    if len(value) > longest:
        yield item, f"{where} has {len(value)} characters, and {longest} are allowed: {value}"
    if not pattern.fullmatch(value):
        yield item, f"{where} is {value!r}, which Kubernetes does not take"


def _key(item: Object, where: str, key: str) -> Iterator[Found]:
    prefix, slash, name = key.rpartition("/")
    yield from _check(item, f"{where}: the key", name, QUALIFIED, 63)
    if slash:
        yield from _check(item, f"{where}: the prefix of the key", prefix, SUBDOMAIN, 253)


def _labels(item: Object, where: str, labels: dict) -> Iterator[Found]:
    for key, value in labels.items():
        yield from _key(item, where, key)
        if value:
            yield from _check(item, f"{where}.{key}", str(value), QUALIFIED, 63)
