"""Rules about what one object names of another: it exists, and it is there in time."""

import re
from collections.abc import Iterator
from itertools import chain

from scout_chat.chart.render import Object

from tests.static.sweeps.index import HOOK, Found, Pod, Render, annotations, walk

# Object, where it says so, kind and name of what it names, the key inside or none, whether it may be absent.
Reference = tuple[Object, str, str, str, str | None, bool]
FIELDS = {"secretKeyRef": "Secret", "secretRef": "Secret", "configMapKeyRef": "ConfigMap", "configMapRef": "ConfigMap"}

WEIGHT = f"{HOOK}-weight"
_EVENTS = [f"{when}-{event}" for event in ("install", "upgrade", "rollback", "delete") for when in ("pre", "post")]
KNOWN = {
    HOOK: [*_EVENTS, "test"],
    f"{HOOK}-delete-policy": ["before-hook-creation", "hook-succeeded", "hook-failed"],
    "helm.sh/resource-policy": ["keep"],
}


def references(render: Render) -> Iterator[Found]:
    """What an object names exists in the release, with the key that is asked for; what the user brings is declared external."""
    for item, where, kind, name, key, optional in chain(_by_field(render), _by_pod(render), _by_kind(render)):
        body = render.get(kind, name)
        if optional or not name:
            continue
        if body is None:
            yield item, f"{kind}/{name} is not in the release ({where})"
        elif key and not any(key in (body.get(part) or {}) for part in ("data", "stringData", "binaryData")):
            yield item, f"{kind}/{name} has no key {key} ({where})"
    yield from _ingress_ports(render)
    yield from _addresses(render)
    for pod in render.pods:
        yield from _inside(render, pod)


def hooks(render: Render) -> Iterator[Found]:
    """Helm's annotations are ones that Helm knows, and what a hook's pod needs is there before it: an installed object, or a hook of less weight."""
    for item in render.objects:
        notes = annotations(item)
        for key, known in KNOWN.items():
            for value in re.split(r",\s*", notes[key]) if key in notes else ():
                if value not in known:
                    yield item, f"metadata.annotations: {key} is {value!r}; Helm knows {', '.join(known)}"
        if not re.fullmatch(r"-?\d+", notes.get(WEIGHT, "0")):
            yield item, f"metadata.annotations: {WEIGHT} is {notes[WEIGHT]!r}, which is no number"
        for key in notes.keys() & {WEIGHT, f"{HOOK}-delete-policy"} if HOOK not in notes else ():
            yield item, f"metadata.annotations: {key} without {HOOK}"
    named = {(item.kind, item.name): item for item in render.objects}
    for item, where, kind, name, _, _ in chain(_by_field(render), _by_pod(render)):
        user, used = annotations(item), annotations(named[kind, name]) if (kind, name) in named else {}
        if HOOK in used and HOOK not in user:
            yield item, f"{kind}/{name} is a hook, which comes and goes, and this is none ({where})"
        elif HOOK in used and not set(re.split(r",\s*", user[HOOK])) <= set(re.split(r",\s*", used[HOOK])):
            yield item, f"{kind}/{name} is there for {used[HOOK]} alone, and this runs for {user[HOOK]} ({where})"
        elif HOOK in used and _weight(used) >= _weight(user):
            yield item, f"{kind}/{name} has weight {_weight(used)} and this {_weight(user)}: it must be less ({where})"


def _by_field(render: Render) -> Iterator[Reference]:
    """Fields that mean the same wherever they stand, in custom resources as well."""
    for item in render.installed:
        for path, node in walk(item.body):
            where = ".".join(path[:-1])
            if path and path[-1] in FIELDS and isinstance(node, dict):
                yield item, where, FIELDS[path[-1]], node["name"], node.get("key"), node.get("optional", False)
            if path and path[-1] == "imagePullSecrets" and isinstance(node, list):
                yield from ((item, where, "Secret", entry["name"], None, False) for entry in node)


def _by_pod(render: Render) -> Iterator[Reference]:
    for pod in render.pods:
        if (account := pod.spec.get("serviceAccountName")) not in (None, "default"):
            yield pod.owner, "serviceAccountName", "ServiceAccount", account, None, False
        for volume in pod.spec.get("volumes") or []:
            where = f"volume {volume['name']}"
            if claim := volume.get("persistentVolumeClaim"):
                yield pod.owner, where, "PersistentVolumeClaim", claim["claimName"], None, False
            for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
                for field, kind, key in (("secret", "Secret", "secretName" if source is volume else "name"), ("configMap", "ConfigMap", "name")):
                    if field in source:
                        optional = source[field].get("optional", False)
                        for wanted in [None, *(entry["key"] for entry in source[field].get("items") or [])]:
                            yield pod.owner, where, kind, source[field][key], wanted, optional


def _by_kind(render: Render) -> Iterator[Reference]:
    for item in render.of("RoleBinding", "ClusterRoleBinding"):
        yield item, "roleRef", item.body["roleRef"]["kind"], item.body["roleRef"]["name"], None, False
        for subject in item.body.get("subjects") or []:
            if subject["kind"] == "ServiceAccount" and subject["name"] != "default":
                yield item, "subjects", "ServiceAccount", subject["name"], None, False
    for item in render.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = item.body["spec"]["scaleTargetRef"]
        yield item, "spec.scaleTargetRef", target.get("kind", "Deployment"), target["name"], None, False
    for item in render.of("StatefulSet"):
        yield item, "spec.serviceName", "Service", item.body["spec"].get("serviceName") or "", None, False
    for item in render.of("Ingress"):
        for entry in item.body["spec"].get("tls") or []:
            yield item, "spec.tls", "Secret", entry.get("secretName") or "", None, False
        for service in _backends(item):
            yield item, "spec.rules", "Service", service["name"], None, False


def _backends(item: Object) -> list[dict]:
    """The Services that an Ingress sends to."""
    spec = item.body["spec"]
    backends = [path["backend"] for rule in spec.get("rules") or [] for path in (rule.get("http") or {}).get("paths") or []]
    return [backend["service"] for backend in [*backends, spec.get("defaultBackend") or {}] if "service" in backend]


def _ingress_ports(render: Render) -> Iterator[Found]:
    for item in render.of("Ingress"):
        for service in _backends(item):
            if body := render.get("Service", service["name"]):
                ports = [port for entry in body["spec"]["ports"] for port in (entry.get("name"), entry["port"])]
                if (wanted := service["port"].get("name", service["port"].get("number"))) not in ports:
                    yield item, f"Service/{service['name']} has no port {wanted} (spec.rules)"


# A host of one label, or with the namespace's domain behind it, is a Service; and its port.
ADDRESS = re.compile(r"(https?)://(?!localhost\b)([a-z][-a-z0-9]*)(?:\.([-a-z0-9]+)\.svc(?:\.cluster\.local)?)?(?::(\d+))?(?=[/\"'\s,;]|$)")


def _addresses(render: Render) -> Iterator[Found]:
    """An address inside the cluster is that of a Service, on a port that it has."""
    for item in render.installed:
        for path, leaf in walk(item.body):
            for scheme, name, space, number in ADDRESS.findall(leaf) if isinstance(leaf, str) and "://" in leaf else ():
                body, port = render.get("Service", name), int(number or {"http": 80, "https": 443}[scheme])
                if space in ("", render.case.namespace) and not body:
                    yield item, f"Service/{name} is not in the release ({'.'.join(path)})"
                elif space in ("", render.case.namespace) and port not in [entry["port"] for entry in body["spec"]["ports"]]:
                    yield item, f"Service/{name} has no port {port} ({'.'.join(path)})"


def _inside(render: Render, pod: Pod) -> Iterator[Found]:
    """Mounts name volumes; $(NAME) in a command names a variable, or it would stay as it is."""
    volumes = {entry["name"] for entry in pod.spec.get("volumes") or []}
    volumes |= {entry["metadata"]["name"] for entry in pod.owner.body.get("spec", {}).get("volumeClaimTemplates") or []}
    for name, part in pod.containers:
        for mount in part.get("volumeMounts") or []:
            if mount["name"] not in volumes:
                yield pod.owner, f"{name}: {mount['mountPath']} mounts volume {mount['name']}, which the pod does not have"
        variables = {entry["name"] for entry in part.get("env") or []}
        for source in part.get("envFrom") or []:
            kind, loaded = next((kind, source[field]["name"]) for field, kind in FIELDS.items() if field in source)
            variables |= (render.get(kind, loaded) or {}).get("data", {}).keys()
        words = [*(part.get("command") or []), *(part.get("args") or []), *(entry.get("value") or "" for entry in part.get("env") or [])]
        for used in sorted({used for word in words for used in re.findall(r"(?<!\$)\$\(([A-Z_][A-Z0-9_]*)\)", word)} - variables):
            yield pod.owner, f"{name}: $({used}) is no variable of the container"


def _weight(notes: dict) -> int:
    value = notes.get(WEIGHT, "0")
    return int(value) if re.fullmatch(r"-?\d+", value) else 0
