"""What an install takes from outside the release: images to pull, storage, and objects and places that must exist."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scout_chat.chart.objects import Pod, annotations, nodes, pods, references
from scout_chat.chart.render import Object
from scout_chat.core.kubeyaml import KubeObject

# Fields that name an object of the cluster, and its kind.
CLASSES = {
    "storageClassName": "StorageClass",
    "runtimeClassName": "RuntimeClass",
    "priorityClassName": "PriorityClass",
    "ingressClassName": "IngressClass",
}
# Kubernetes has these itself.
BUILT_IN = ("system-cluster-critical", "system-node-critical")


@dataclass(frozen=True)
class Volume:
    """A PVC that the release creates. ``storage_class``: empty for the cluster's default. ``kept``: helm uninstall leaves it there."""

    name: str
    size: str
    storage_class: str
    access_modes: tuple[str, ...]
    kept: bool


@dataclass(frozen=True)
class Requirement:
    """Something that the release only refers to. ``keys``: the keys that a Secret or a ConfigMap must have."""

    kind: str
    name: str
    keys: tuple[str, ...]
    used_by: tuple[str, ...]


def images(objects: Iterable[Object]) -> dict[str, list[str]]:
    """Return the images that the release pulls, each with the objects whose pods use it."""
    found: dict[str, list[str]] = {}
    for pod in pods(objects):
        for image in pod.images:
            found.setdefault(image, []).append(_label(pod.owner))
    return dict(sorted(found.items()))


def volumes(objects: Iterable[Object]) -> list[Volume]:
    """Return the PVCs that the release creates, those of a StatefulSet's template included."""
    found = []
    for item in objects:
        if item.kind == "PersistentVolumeClaim":
            found.append(_volume(item.name, item.body, annotations(item).get("helm.sh/resource-policy") == "keep"))
        elif item.kind == "StatefulSet":
            # Kubernetes names the PVC after the pod, and keeps it.
            templates = item.body["spec"].get("volumeClaimTemplates") or []
            found += [_volume(f"{template['metadata']['name']}-{item.name}-0", template, True) for template in templates]
    return found


def _volume(name: str, body: KubeObject, kept: bool) -> Volume:
    spec = body["spec"]
    size = str(((spec.get("resources") or {}).get("requests") or {}).get("storage", ""))
    return Volume(name, size, spec.get("storageClassName") or "", tuple(spec.get("accessModes") or ()), kept)


def requirements(objects: Iterable[Object]) -> list[Requirement]:
    """Return what must exist before the install, because the release only refers to it. What may be absent is left out."""
    objects = list(objects)
    created = {(item.kind, item.name) for item in objects}
    found: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for user, kind, name, key in _named(objects):
        if name and (kind, name) not in created:
            keys, users = found.setdefault((kind, name), ({}, {}))
            keys |= {key: None} if key else {}
            users[_label(user)] = None
    return [Requirement(kind, name, tuple(keys), tuple(users)) for (kind, name), (keys, users) in sorted(found.items())]


def _named(objects: list[Object]) -> Iterator[tuple[Object, str, str, str]]:
    """Yield each reference as (user, kind, name, key inside)."""
    found, in_pods = list(nodes(objects)), list(pods(objects))
    yield from ((ref.user, ref.kind, ref.name, ref.key or "") for ref in references(found, in_pods) if not ref.optional)
    for item, path, node in found:
        if path and path[-1] in CLASSES and isinstance(node, str) and node not in BUILT_IN:
            yield item, CLASSES[path[-1]], node, ""
    for pod in in_pods:
        yield from ((pod.owner, kind, name, "") for kind, name in _places(pod))


def _places(pod: Pod) -> Iterator[tuple[str, str]]:
    """Yield the NFS exports and the folders of a node that the pod mounts."""
    for volume in pod.spec.get("volumes") or []:
        if nfs := volume.get("nfs"):
            yield "NFS export", f"{nfs['server']}:{nfs['path']}"
        if folder := volume.get("hostPath"):
            yield "folder on each node", folder["path"]


def _label(item: Object) -> str:
    return f"{item.kind}/{item.name}"
