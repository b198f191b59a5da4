"""Rules about any object: its schema, its lists, where it is and what it is called, what must not stand in it."""

import base64
import re
from collections.abc import Iterator

from scout_chat.chart import kubernetes

from tests.static.sweeps.index import Found, Render, walk

# What no namespace holds.
CLUSTER_WIDE = re.compile(
    "ClusterRole|ClusterRoleBinding|CustomResourceDefinition|Namespace|PersistentVolume|(Priority|Runtime|Storage|Ingress)Class"
    "|(Validating|Mutating)(WebhookConfiguration|AdmissionPolicy|AdmissionPolicyBinding)"
)
STANDARD = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by")


def schema(render: Render) -> Iterator[Found]:
    """Kubernetes' own schema, and a CRD's, closed: an unknown field is an error, an unknown kind too."""
    crds = [item.body for item in render.of("CustomResourceDefinition")]
    for item in render.objects:
        if kubernetes.from_archive(item.body):
            continue  # archived_schema has these
        try:
            yield from ((item, problem) for problem in kubernetes.validate(item.body, render.case.kubernetes, crds))
        except kubernetes.NoSchema as error:
            yield item, str(error)


def archived_schema(render: Render) -> Iterator[Found]:
    """As schema, for the kinds whose CRD only the vllm-stack archive has."""
    for item in render.objects:
        if kubernetes.from_archive(item.body):
            yield from ((item, problem) for problem in kubernetes.validate(item.body, render.case.kubernetes))


def merge_keys(render: Render) -> Iterator[Found]:
    """No two entries of a list are one to server-side apply, which refuses them, or to a merge, which drops one."""
    for item in render.objects:
        yield from ((item, problem) for problem in kubernetes.duplicates(item.body, render.case.kubernetes))
    for item in render.of("Service"):
        yield from ((item, f"spec.ports: two are called {name}") for name in _twice(port.get("name") for port in item.body["spec"].get("ports") or []))
    for pod in render.pods:
        yield from ((pod.owner, f"two containers are called {name}") for name in _twice(part["name"] for _, part in pod.containers))
        yield from ((pod.owner, f"tolerations: twice {entry}") for entry in _twice(pod.spec.get("tolerations") or []))
        for name, part in pod.containers:
            ports = part.get("ports") or []
            yield from ((pod.owner, f"{name}: two ports are called {twice}") for twice in _twice(port.get("name") for port in ports))
            # A merge on the client goes by the number alone.
            yield from ((pod.owner, f"{name}: two ports are {twice}") for twice in _twice(port["containerPort"] for port in ports))
            yield from ((pod.owner, f"{name}: envFrom: twice {twice}") for twice in _twice(part.get("envFrom") or []))


def _twice(values: Iterator[object] | list) -> list[object]:
    found = [value for value in values if value is not None]
    return [value for number, value in enumerate(found) if value in found[:number]]


def replicas(render: Render) -> Iterator[Found]:
    """Who is scaled by something else does not say how many: the second upgrade would be refused as a conflict."""
    for item in render.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = item.body["spec"]["scaleTargetRef"]
        for scaled in render.of(target.get("kind", "Deployment")):
            if scaled.name == target["name"] and "replicas" in scaled.body["spec"]:
                yield scaled, f"spec.replicas is set, and {item.kind}/{item.name} scales it"


def namespace(render: Render) -> Iterator[Found]:
    """Every object lands where the release does."""
    for item in render.objects:
        said, wide = item.body["metadata"].get("namespace"), CLUSTER_WIDE.fullmatch(item.kind)
        if wide and said:
            yield item, f"metadata.namespace is {said}, and no namespace holds a {item.kind}"
        elif not wide and said not in (None, render.case.namespace):
            yield item, f"metadata.namespace is {said}, and the release is in {render.case.namespace}"


def labels(render: Render) -> Iterator[Found]:
    """kubectl get -l app.kubernetes.io/instance=RELEASE shows everything."""
    for item in render.installed:
        own = item.body["metadata"].get("labels") or {}
        if missing := [label for label in STANDARD if not own.get(label)]:
            yield item, f"metadata.labels: no {', '.join(missing)}"
        elif own[STANDARD[1]] != render.case.release:
            yield item, f"metadata.labels: {STANDARD[1]} is {own[STANDARD[1]]}, and the release {render.case.release}"


# TIKTOKEN is a vocabulary.
SECRET_NAME = re.compile(r"KEY|(?<!TIK)TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL")
# Empty, a switch, a number, or a variable of the container.
HARMLESS = re.compile(r"(?i)|true|false|\d+(\.\d+)?|\$\(\w+\)")
IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@\"']*:(?!\$[({]?\w+[)}]?@)[^/\s@\"']+@")
FLAG = re.compile(r"(?i)(--?(?:[\w-]+[-_])?(?:api[-_]?key|access[-_]key|secret[-_]key|token|password|passwd|secret)(?:=|\s+|\n))(?!-|\$|\s|$)(\S+)")


def secrets(render: Render) -> Iterator[Found]:
    """What is secret stands in Secrets: not in another object, an environment, an address or a command line."""
    values = {value: f"Secret/{item.name} {key}" for item in render.of("Secret") for key, value in _values(item.body)}
    for item in render.installed:
        if item.kind == "Secret":
            continue
        for path, leaf in walk(item.body):
            if not isinstance(leaf, str):
                continue
            where = ".".join(path)
            yield from ((item, f"{where} holds the value of {source}") for value, source in values.items() if value in leaf)
            if "://" in leaf and IN_URL.search(leaf):
                yield item, f"{where} has a password in an address"
            name = path[-2] if path[-1] == "value" else path[-1] if item.kind == "ConfigMap" and path[0] == "data" else ""
            if name.isupper() and SECRET_NAME.search(name) and not HARMLESS.fullmatch(leaf):
                yield item, f"{where}: {name} has a value in plain text"
    for pod in render.pods:
        for name, part in pod.containers:
            words = [str(word) for word in [*(part.get("command") or []), *(part.get("args") or [])]]
            for flag, _ in FLAG.findall("\n".join(words)):
                yield pod.owner, f"{name}: {flag.strip(' =' + chr(10))} has its value on the command line"


def _values(body: dict) -> Iterator[tuple[str, str]]:
    """A Secret's values, as they are and decoded. A short one would be found by chance."""
    plain = [(key, value) for key, value in (body.get("stringData") or {}).items()]
    for key, value in (body.get("data") or {}).items():
        plain += [(key, value), (key, base64.b64decode(value + "==").decode(errors="replace"))]
    return ((key, value) for key, value in plain if len(value) >= 8)
