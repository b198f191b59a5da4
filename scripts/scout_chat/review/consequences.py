"""What a change means on the cluster: one consequence for each, and a note that says what happens.

The rules for fields that cannot be changed are those of Kubernetes' own validation (1.36, pkg/apis/*/validation).
"""

import json
import re

from scout_chat.chart.render import Object
from scout_chat.core.errors import UserError
from scout_chat.review.sides import nearest
from scout_chat.review.tree import quantity

# Most severe first.
CONSEQUENCES = {
    "refused": "The upgrade fails: a field cannot be changed, or the chart refuses the values.",
    "data": "A volume is created, removed or grown.",
    "secret": "A Secret or a key of one is created, removed or changed. Values are not shown.",
    "engine reloads": "A GPU engine stops, or starts, and loads its weights again.",
    "pods restart": "Pods are replaced.",
    "network": "How something is reached, or what it may reach.",
    "access": "What a service account is, and may do.",
    "other": "Nothing stops: labels, scale, hooks and tests.",
}

# Kinds, path, why. A path matches from its start.
_IMMUTABLE = (
    (r"Deployment|DaemonSet|ReplicaSet", r"spec\.selector\b", "a selector cannot be changed: delete the object first, its pods stop"),
    (
        r"StatefulSet",
        r"spec\.(?!(replicas|ordinals|template|updateStrategy|persistentVolumeClaimRetentionPolicy|minReadySeconds|revisionHistoryLimit)\b)",
        "a StatefulSet's field that cannot be changed: delete it with --cascade=orphan first, its pods stay",
    ),
    (
        r"Job",
        r"spec\.(selector|template|completions|completionMode|podFailurePolicy|successPolicy|backoffLimitPerIndex|managedBy)\b",
        "a Job cannot be changed: delete it first",
    ),
    (r"Pod", r"spec\.(?!(initC|c)ontainers\[[^]]*\]\.image$|activeDeadlineSeconds\b)", "a Pod cannot be changed: delete it first"),
    (
        r"PersistentVolumeClaim",
        r"spec\b(?!\.volumeAttributesClassName|\.resources\.requests\.storage$)",
        "a claim cannot be changed: a new claim and a copy of the data are needed",
    ),
    (r"Service", r"spec\.clusterIPs?\b", "an address cannot be changed: delete the Service first"),
    (r"(Cluster)?RoleBinding", r"roleRef\b", "a roleRef cannot be changed: delete the binding first"),
    (r"Secret", r"type$", "a Secret's type cannot be changed: delete it first"),
    (r"StorageClass", r"(parameters|provisioner|reclaimPolicy|volumeBindingMode)\b", "cannot be changed: a class of another name is needed"),
    (r"PriorityClass", r"(value|preemptionPolicy)$", "cannot be changed: a class of another name is needed"),
)

RUNS_PODS = ("Deployment", "StatefulSet", "DaemonSet")
_ACCESS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
_NETWORK = ("Service", "Ingress", "NetworkPolicy", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "Gateway", "Route", "EndpointSlice", "Endpoints")
_CRD = "Helm installs what is in a chart's crds/ once, and neither changes nor removes it: apply it by hand"


def severity(name: str) -> str:
    """The consequence of that name (``engine-reloads`` as well). Raises UserError with those that there are."""
    if (found := name.replace("-", " ")) not in CONSEQUENCES:
        raise UserError(f"there is no consequence {name}", f"{nearest(name, CONSEQUENCES)}Consequences: {', '.join(CONSEQUENCES)}")
    return found


def of_object(item: Object, created: bool, twin: str) -> tuple[str, str]:
    """Consequence and note of an object that is created or removed; ``twin`` is the kind that has its name on the other side."""
    annotations = item.body["metadata"].get("annotations") or {}
    if "helm.sh/hook" in annotations:
        return "other", f"a hook ({annotations['helm.sh/hook']})"
    note = "" if not twin or item.kind not in RUNS_PODS else f"{'takes the place of' if created else 'gives way to'} the {twin} of that name"
    kept = not created and annotations.get("helm.sh/resource-policy") == "keep"
    if item.kind == "PersistentVolumeClaim":
        size = ((item.body["spec"].get("resources") or {}).get("requests") or {}).get("storage", "?")
        stays = "helm.sh/resource-policy: keep holds the claim and its data" if kept else "Helm deletes the claim; most storage classes delete the data with it"
        return "data", f"a new volume of {size}" if created else stays
    if kept:
        note = "helm.sh/resource-policy: keep holds it"
    if item.kind == "Secret":
        return "secret", note
    if _is_engine(item):
        return "engine reloads", note or ("a new engine loads its weights" if created else "the engine stops, and its model is gone")
    if item.kind in RUNS_PODS:
        return "pods restart", note or ("new pods start" if created else "its pods stop")
    if item.kind == "CustomResourceDefinition":
        return "other", _CRD
    return "network" if item.kind in _NETWORK else "access" if item.kind in _ACCESS else "other", note


def of_change(old: Object, new: Object, path: str, before: object, after: object, objects: list[Object]) -> tuple[str, str]:
    """Consequence and note of a change at ``path``; ``objects`` is the whole new render."""
    kind = new.kind
    hook = (new.body["metadata"].get("annotations") or {}).get("helm.sh/hook")
    if hook and "helm.sh/hook" in (old.body["metadata"].get("annotations") or {}):
        return "other", f"a hook ({hook}), made anew whenever it runs"
    if refused := _refused(old, path, before, after):
        return "refused", refused
    if kind == "PersistentVolumeClaim" and path.startswith("spec.resources"):
        return "data", "grows; the storage class must allow expansion"
    if kind == "PersistentVolumeClaim" and (path.startswith("spec") or path.endswith("[helm.sh/resource-policy]")):
        kept = (new.body["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"
        return "data", ("uninstalling keeps the claim now" if kept else "uninstalling deletes the claim now") if path.startswith("metadata") else ""
    if kind == "Secret" and not path.startswith("metadata"):
        return "secret", "" if before is None or after is None or not path.startswith("data") else "the value differs"
    if kind in RUNS_PODS and path.startswith("spec.template"):
        return _restart(old, new)
    if kind == "ConfigMap" and path.startswith(("data", "binaryData")):
        return of_environment(new, objects) if old.name != new.name else ("other", _readers_note(new, objects))
    if kind == "CustomResourceDefinition":
        return "other", _CRD
    if path.startswith("metadata.labels"):
        return "other", ""
    if kind in RUNS_PODS and path == "spec.replicas":
        return "other", "the pods that stay go on" + (", and each further engine needs its own GPU" if _is_engine(new) else "")
    return "network" if kind in _NETWORK else "access" if kind in _ACCESS else "other", ""


def _refused(old: Object, path: str, before: object, after: object) -> str:
    """Why the API server does not take the change; empty if it does."""
    if old.kind in ("ConfigMap", "Secret") and old.body.get("immutable") and re.match(r"(data|binaryData|immutable)\b", path):
        return "immutable: true; delete it first"
    if old.kind == "PersistentVolumeClaim" and path == "spec.resources.requests.storage":
        sizes = quantity(before), quantity(after)
        return "" if None not in sizes and sizes[1] > sizes[0] else "a claim cannot shrink"
    if old.kind == "Service" and after is None:
        return ""  # the API server keeps the address
    return next((why for kinds, field, why in _IMMUTABLE if re.fullmatch(kinds, old.kind) and re.match(field, path)), "")


def _template_labels(item: Object) -> dict:
    spec = item.body.get("spec") or {}
    return ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {} if item.kind in RUNS_PODS else {}


def _is_engine(item: Object) -> bool:
    return _template_labels(item).get("app.kubernetes.io/component") == "serving-engine"


def _restart(old: Object, new: Object) -> tuple[str, str]:
    """Consequence and note of a changed pod template."""
    recreate = ((new.body["spec"].get("strategy") or {}).get("type")) == "Recreate"
    if _is_engine(old) or _is_engine(new):
        alone = "Recreate: its model does not answer until the weights are loaded again"
        return "engine reloads", alone if recreate else "the new engine needs a GPU beside the old one's until it is ready"
    return "pods restart", "Recreate: it does not answer until the new pod is ready" if recreate else "a new pod is ready before an old one stops"


def _readers(name: str, objects: list[Object]) -> list[Object]:
    """What runs pods that name the ConfigMap."""
    return [item for item in objects if item.kind in RUNS_PODS and json.dumps(name) in json.dumps(item.body["spec"].get("template"))]


def _readers_note(item: Object, objects: list[Object]) -> str:
    readers = ", ".join(f"{reader.kind}/{reader.name}" for reader in _readers(item.name, objects))
    return f"{readers} does not restart: its environment stays until it does, a mounted file follows" if readers else ""


def of_environment(item: Object, objects: list[Object]) -> tuple[str, str]:
    """Of a ConfigMap named by its hash: whoever loads it restarts."""
    readers = _readers(item.name, objects)
    if not readers:
        return "other", "environment changed; nothing loads it"
    names = ", ".join(f"{reader.kind}/{reader.name}" for reader in readers)
    consequence, note = min((_restart(reader, reader) for reader in readers), key=lambda found: list(CONSEQUENCES).index(found[0]))
    return consequence, f"environment changed, which restarts {names}; {note}"
