"""The consequence of each change on the cluster, with a note that explains it.

The table of immutable fields follows Kubernetes' validation (1.36, pkg/apis/*/validation).
"""

import json
import re

from scout_chat.chart.render import Object
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.review.sides import nearest
from scout_chat.review.tree import quantity

# Most severe first.
CONSEQUENCES = {
    "refused": "The upgrade fails: a field cannot be changed, or the chart refuses the values.",
    "data": "A volume is created, deleted or expanded.",
    "secret": "A Secret, or a key in one, is created, deleted or changed. Values are not shown.",
    "engine reloads": "An engine starts or stops, or restarts and loads its weights again.",
    "pods restart": "Pods are replaced.",
    "network": "How pods are reached, or what they may reach.",
    "access": "Service accounts, and what they may do.",
    "other": "Nothing stops: labels, replicas, hooks and tests.",
}

# Kind, path and note. Kind and path are regular expressions; a path matches from its beginning.
_IMMUTABLE = (
    (r"Deployment|DaemonSet|ReplicaSet", r"spec\.selector\b", "a selector is immutable: delete the object first, which stops its pods"),
    (
        r"StatefulSet",
        r"spec\.(?!(replicas|ordinals|template|updateStrategy|persistentVolumeClaimRetentionPolicy|minReadySeconds|revisionHistoryLimit)\b)",
        "this field of a StatefulSet is immutable: delete the StatefulSet with --cascade=orphan first, which keeps its pods",
    ),
    (
        r"Job",
        r"spec\.(selector|template|completions|completionMode|podFailurePolicy|successPolicy|backoffLimitPerIndex|managedBy)\b",
        "this field of a Job is immutable: delete the Job first",
    ),
    (r"Pod", r"spec\.(?!(initC|c)ontainers\[[^]]*\]\.image$|activeDeadlineSeconds\b)", "this field of a Pod is immutable: delete the Pod first"),
    (
        r"PersistentVolumeClaim",
        r"spec\b(?!\.volumeAttributesClassName|\.resources\.requests\.storage$)",
        "this field of a PVC is immutable: create a new PVC and copy the data",
    ),
    (r"Service", r"spec\.clusterIPs?\b", "the cluster IP is immutable: delete the Service first"),
    (r"(Cluster)?RoleBinding", r"roleRef\b", "roleRef is immutable: delete the binding first"),
    (r"Secret", r"type$", "a Secret's type is immutable: delete the Secret first"),
    (
        r"StorageClass",
        r"(parameters|provisioner|reclaimPolicy|volumeBindingMode)\b",
        "this field of a StorageClass is immutable: create one with another name",
    ),
    (r"PriorityClass", r"(value|preemptionPolicy)$", "this field of a PriorityClass is immutable: create one with another name"),
)

RUNS_PODS = ("Deployment", "StatefulSet", "DaemonSet")
_ACCESS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
_NETWORK = ("Service", "Ingress", "NetworkPolicy", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "Gateway", "Route", "EndpointSlice", "Endpoints")
_CRD_NOTE = "Helm installs a chart's CRDs once, and never changes or deletes them: use kubectl"
_KEPT = "helm.sh/resource-policy: keep"


def severity(name: str) -> str:
    """Return the consequence of that name; ``engine-reloads`` is accepted too. Raises UserError with the known names."""
    if (found := name.replace("-", " ")) not in CONSEQUENCES:
        raise UserError(f"there is no consequence {name}", f"{nearest(name, CONSEQUENCES)}Consequences: {', '.join(CONSEQUENCES)}")
    return found


def of_object(item: Object, created: bool, twin: str) -> tuple[str, str]:
    """Return consequence and note of an object that is created or deleted.

    ``twin`` is the kind of the object that has its name on the other side; empty if there is none.
    """
    if hook := _annotation(item, "helm.sh/hook"):
        return "other", f"a hook ({hook})"
    note = "" if not twin or item.kind not in RUNS_PODS else f"{'replaces' if created else 'is replaced by'} the {twin} of the same name"
    kept = not created and _is_kept(item)
    if item.kind == "PersistentVolumeClaim":
        if created:
            size = ((item.body["spec"].get("resources") or {}).get("requests") or {}).get("storage", "?")
            return "data", f"a new volume of {size}"
        return "data", f"{_KEPT}: the PVC and its data stay" if kept else "Helm deletes the PVC; most StorageClasses delete the data with it"
    if kept:
        note = f"{_KEPT}: the object stays"
    if item.kind == "Secret":
        return "secret", note
    if _is_engine(item):
        return "engine reloads", note or ("a new engine loads its weights" if created else "the engine stops, and its model is no longer served")
    if item.kind in RUNS_PODS:
        return "pods restart", note or ("new pods start" if created else "its pods stop")
    if item.kind == "CustomResourceDefinition":
        return "other", _CRD_NOTE
    return _consequence_of_kind(item.kind), note


def of_change(old: Object, new: Object, path: str, before: object, after: object, objects: list[Object]) -> tuple[str, str]:
    """Return consequence and note of a change at ``path``. ``objects`` is the whole new render."""
    kind = new.kind
    hook = _annotation(new, "helm.sh/hook")
    if hook and _annotation(old, "helm.sh/hook"):
        return "other", f"a hook ({hook}), which Helm creates again for each run"
    if refused := _refused(old, path, before, after):
        return "refused", refused
    if kind == "PersistentVolumeClaim" and path.startswith("spec.resources"):
        return "data", "the volume is expanded, which its StorageClass must allow"
    if kind == "PersistentVolumeClaim" and path.endswith("[helm.sh/resource-policy]"):
        return "data", f"helm uninstall now {'keeps' if _is_kept(new) else 'deletes'} the PVC"
    if kind == "PersistentVolumeClaim" and path.startswith("spec"):
        return "data", ""
    if kind == "Secret" and not path.startswith("metadata"):
        return "secret", "" if before is None or after is None or not path.startswith("data") else "the value differs"
    if kind in RUNS_PODS and path.startswith("spec.template"):
        return _restart(old, new)
    if kind == "ConfigMap" and path.startswith(("data", "binaryData")):
        return of_environment(new, objects) if old.name != new.name else ("other", _no_restart_note(new, objects))
    if kind == "CustomResourceDefinition":
        return "other", _CRD_NOTE
    if path.startswith("metadata.labels"):
        return "other", ""
    if kind in RUNS_PODS and path == "spec.replicas":
        return "other", "the pods that remain do not restart" + ("; each additional engine needs its own GPU" if _is_engine(new) else "")
    return _consequence_of_kind(kind), ""


def of_environment(item: Object, objects: list[Object]) -> tuple[str, str]:
    """Return consequence and note of a ConfigMap that has another hash in its name: the pods that load it restart."""
    readers = _readers(item.name, objects)
    if not readers:
        return "other", "environment changed; no pod loads it"
    consequence, note = min((_restart(reader, reader) for reader in readers), key=lambda found: list(CONSEQUENCES).index(found[0]))
    return consequence, f"environment changed, which restarts {_names(readers)}; {note}"


def _consequence_of_kind(kind: str) -> str:
    return "network" if kind in _NETWORK else "access" if kind in _ACCESS else "other"


def _refused(old: Object, path: str, before: object, after: object) -> str:
    """Return why the API server refuses the change; empty if it accepts it."""
    if old.kind in ("ConfigMap", "Secret") and old.body.get("immutable") and re.match(r"(data|binaryData|immutable)\b", path):
        return "the object has immutable: true: delete it first"
    if old.kind == "PersistentVolumeClaim" and path == "spec.resources.requests.storage":
        old_size, new_size = quantity(before), quantity(after)
        grows = old_size is not None and new_size is not None and new_size > old_size
        return "" if grows else "a PVC cannot shrink"
    if old.kind == "Service" and after is None:
        return ""  # the API server keeps the address
    return next((note for kinds, field, note in _IMMUTABLE if re.fullmatch(kinds, old.kind) and re.match(field, path)), "")


def _annotation(item: Object, name: str) -> str:
    return str((item.body["metadata"].get("annotations") or {}).get(name, ""))


def _is_kept(item: Object) -> bool:
    return _annotation(item, "helm.sh/resource-policy") == "keep"


def _is_engine(item: Object) -> bool:
    if item.kind not in RUNS_PODS:
        return False
    template: KubeObject = (item.body.get("spec") or {}).get("template") or {}
    labels: KubeObject = (template.get("metadata") or {}).get("labels") or {}
    return labels.get("app.kubernetes.io/component") == "serving-engine"


def _restart(old: Object, new: Object) -> tuple[str, str]:
    """Return consequence and note of a changed pod template."""
    strategy = new.body["spec"].get("strategy") or {}
    recreate = strategy.get("type") == "Recreate"
    if _is_engine(old) or _is_engine(new):
        in_place = (strategy.get("rollingUpdate") or {}).get("maxSurge") in (0, "0", "0%")
        if recreate or (in_place and new.body["spec"].get("replicas", 1) == 1):
            return "engine reloads", "its model does not answer until the weights are loaded again"
        if in_place:
            return "engine reloads", "one engine after the other: while one loads its weights, the others answer"
        return "engine reloads", "the new engine needs another GPU while the old one still runs"
    return "pods restart", "Recreate: it does not answer until the new pod is ready" if recreate else "a new pod is ready before an old one stops"


def _readers(name: str, objects: list[Object]) -> list[Object]:
    """Return the workloads whose pods name the ConfigMap."""
    return [item for item in objects if item.kind in RUNS_PODS and json.dumps(name) in json.dumps(item.body["spec"].get("template"))]


def _no_restart_note(item: Object, objects: list[Object]) -> str:
    readers = _names(_readers(item.name, objects))
    return f"does not restart {readers}: mounted files are updated, environment variables only at the next restart" if readers else ""


def _names(items: list[Object]) -> str:
    return ", ".join(f"{item.kind}/{item.name}" for item in items)
