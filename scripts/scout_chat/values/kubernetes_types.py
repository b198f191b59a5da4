"""Kubernetes' own types as definitions of the schema: strict, without descriptions, in draft-07."""

from scout_chat.chart import kubernetes
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.pins import pins

# The API groups in which a type that a source names is looked up, in order.
GROUPS = ("io.k8s.api.core.v1.", "io.k8s.api.apps.v1.", "io.k8s.api.networking.v1.")
# Keys of a security context that an administrator may have to remove with null because the cluster assigns them (OpenShift).
NULLABLE = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seccompProfile"}
# Values that Kubernetes names only in its descriptions. The API server distinguishes upper and lower case. Lt and Gt need a feature gate.
ENUMS = {"Toleration": {"operator": ["Exists", "Equal", "Lt", "Gt"], "effect": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]}}


def definition(name: str) -> KubeObject:
    """Return the definition of a type by the last part of its name, for example ``Toleration``, in the newest supported minor."""
    types = kubernetes.definitions(pins().kubernetes[0])
    (full,) = [group + name for group in GROUPS if group + name in types] or [key for key in types if key.endswith(f".{name}")][:1]
    body = _converted(types[full])
    if name in ("PodSecurityContext", "SecurityContext"):
        body["properties"] |= {key: {"anyOf": [child, {"type": "null"}]} for key, child in body["properties"].items() if key in NULLABLE}
    for key, allowed in ENUMS.get(name, {}).items():
        body["properties"][key]["enum"] = allowed
    return body


def _converted(node: KubeObject) -> KubeObject:
    if reference := node.get("$ref"):
        # Kubernetes' schema accepts any text as a Quantity; our definition knows the units.
        kind = reference.rsplit(".", 1)[1]
        return {"$ref": f"#/definitions/{'quantity' if kind == 'Quantity' else kind}"}
    kept: KubeObject = {}
    for key, value in node.items():
        if isinstance(value, dict):
            kept[key] = _converted(value)
        elif isinstance(value, list):
            kept[key] = [_converted(item) if isinstance(item, dict) else item for item in value]
        else:
            kept[key] = value
    kept = {key: value for key, value in kept.items() if key not in ("description", "format", "default") and not key.startswith("x-")}
    if isinstance(node.get("type"), list):
        # Kubernetes' schemas also allow null, but Helm removes a key that is null before it checks the schema.
        kept["type"] = node["type"][0]
    return kept
