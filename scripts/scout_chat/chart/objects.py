"""Read rendered objects: the pods in them, every value in them, and the other objects that they name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from scout_chat.chart.render import Object
from scout_chat.core.kubeyaml import KubeObject

# Where the pod is in an object that creates pods.
POD_AT: dict[str, tuple[str, ...]] = {"Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template")} | dict.fromkeys(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")
)
HOOK = "helm.sh/hook"
# The fields that name an object, and its kind.
FIELDS = {"secretKeyRef": "Secret", "secretRef": "Secret", "configMapKeyRef": "ConfigMap", "configMapRef": "ConfigMap"}

# The path to a value inside an object. An item of a list has its name there, or its number if it has no name.
Path = tuple[str, ...]
# An object, the path to a value of it, and the value.
Node = tuple[Object, Path, object]


@dataclass(frozen=True)
class Pod:
    """A pod or a workload's pod template. ``owner`` is the object that holds it."""

    owner: Object
    metadata: KubeObject
    spec: KubeObject

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def containers(self) -> list[tuple[str, KubeObject]]:
        """Return every container, with the name that a message uses. Init containers come first."""
        return [(f"init container {part.get('name')}", part) for part in self.spec.get("initContainers") or []] + self.main

    @property
    def main(self) -> list[tuple[str, KubeObject]]:
        """Return the containers without init containers."""
        return [(f"container {part.get('name')}", part) for part in self.spec.get("containers") or []]

    @property
    def long_running(self) -> list[tuple[str, KubeObject]]:
        """Return the containers that run as long as the pod, sidecars included. Pods of jobs and hooks have none."""
        if self.owner.kind in ("Job", "CronJob") or HOOK in annotations(self.owner) or self.spec.get("restartPolicy", "Always") != "Always":
            return []
        return [(name, part) for name, part in self.containers if name.startswith("container") or part.get("restartPolicy") == "Always"]

    @property
    def images(self) -> set[str]:
        """Return the image of every container and of every image volume."""
        volumes = (volume["image"]["reference"] for volume in self.spec.get("volumes") or [] if "image" in volume)
        return {*(part.get("image") or "" for _, part in self.containers), *volumes}


class Reference(NamedTuple):
    """A place in an object that names another one. ``key``: the key inside it, or None. ``optional``: the other may be absent."""

    user: Object
    where: str
    kind: str
    name: str
    key: str | None = None
    optional: bool = False


def pods(objects: Iterable[Object]) -> Iterator[Pod]:
    """Yield the pod or pod template of each object that has one."""
    for item in objects:
        if item.kind in POD_AT:
            holder = item.body
            for key in POD_AT[item.kind]:
                holder = holder[key]
            yield Pod(item, holder.get("metadata") or {}, holder["spec"])


def annotations(item: Object) -> dict[str, str]:
    """Return the object's annotations."""
    return item.body["metadata"].get("annotations") or {}


def nodes(objects: Iterable[Object]) -> Iterator[Node]:
    """Yield every value of every object except CRDs, with its path. CRDs describe fields of other objects."""
    return ((item, path, node) for item in objects if item.kind != "CustomResourceDefinition" for path, node in walk(item.body))


def walk(node: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every value in and below ``node`` with its path."""
    yield path, node
    if isinstance(node, dict):
        for key, child in node.items():
            yield from walk(child, (*path, str(key)))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from walk(child, (*path, str(child.get("name", number)) if isinstance(child, dict) else str(number)))


def references(found: Iterable[Node], in_pods: Iterable[Pod]) -> Iterator[Reference]:
    """Yield what the values ``found`` and the pods name: Secrets, ConfigMaps, PVCs and ServiceAccounts."""
    return chain(_by_field(found), _of_pods(in_pods))


def _by_field(found: Iterable[Node]) -> Iterator[Reference]:
    """Yield references of fields that mean the same in every kind, custom resources included, and the certificates of an Ingress."""
    for item, path, node in found:
        where = ".".join(path[:-1])
        if path and path[-1] in FIELDS and isinstance(node, dict):
            yield Reference(item, where, FIELDS[path[-1]], node["name"], node.get("key"), node.get("optional", False))
        if path and path[-1] == "imagePullSecrets" and isinstance(node, list):
            yield from (Reference(item, where, "Secret", entry["name"]) for entry in node)
        if item.kind == "Ingress" and path == ("spec", "tls") and isinstance(node, list):
            yield from (Reference(item, "spec.tls", "Secret", entry.get("secretName") or "") for entry in node)


def _of_pods(in_pods: Iterable[Pod]) -> Iterator[Reference]:
    """Yield references of ServiceAccounts and volumes."""
    for pod in in_pods:
        if (account := pod.spec.get("serviceAccountName")) not in (None, "default"):
            yield Reference(pod.owner, "serviceAccountName", "ServiceAccount", account)
        for volume in pod.spec.get("volumes") or []:
            where = f"volume {volume['name']}"
            if claim := volume.get("persistentVolumeClaim"):
                yield Reference(pod.owner, where, "PersistentVolumeClaim", claim["claimName"])
            for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
                for field, kind, key in (("secret", "Secret", "secretName" if source is volume else "name"), ("configMap", "ConfigMap", "name")):
                    if field in source:
                        optional = source[field].get("optional", False)
                        for wanted in [None, *(entry["key"] for entry in source[field].get("items") or [])]:
                            yield Reference(pod.owner, where, kind, source[field][key], wanted, optional)
