"""The objects that one case renders, indexed once: by kind and name, as pods, and as a list of all their values."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scout_chat.chart.render import Case, Object
from scout_chat.core.kubeyaml import KubeObject

# Where the pod is in an object that creates pods.
POD_AT: dict[str, tuple[str, ...]] = {"Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template")} | dict.fromkeys(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")
)
HOOK = "helm.sh/hook"
# The path to a value inside an object. An item of a list has its name there, or its number if it has no name.
Path = tuple[str, ...]


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


class Manifests:
    """What one case renders."""

    def __init__(self, case: Case, objects: tuple[Object, ...]) -> None:
        self.case = case
        self.objects = objects

    @cached_property
    def pods(self) -> list[Pod]:
        pods = []
        for item in self.of(*POD_AT):
            holder = item.body
            for key in POD_AT[item.kind]:
                holder = holder[key]
            pods.append(Pod(item, holder.get("metadata") or {}, holder["spec"]))
        return pods

    @cached_property
    def nodes(self) -> list[tuple[Object, Path, object]]:
        """Return every value of every object except CRDs, with its path. CRDs describe fields of other objects."""
        return [(item, path, node) for item in self.installed for path, node in walk(item.body)]

    @cached_property
    def installed(self) -> list[Object]:
        """Return the objects without CRDs."""
        return [item for item in self.objects if item.kind != "CustomResourceDefinition"]

    @cached_property
    def _named(self) -> dict[tuple[str, str], KubeObject]:
        return {(item.kind, item.name): item.body for item in self.objects}

    def of(self, *kinds: str) -> list[Object]:
        """Return the objects of these kinds."""
        return [item for item in self.objects if item.kind in kinds]

    def get(self, kind: str, name: str) -> KubeObject | None:
        """Return one object, or None if the release does not have it."""
        return self._named.get((kind, name))


def annotations(item: Object) -> dict[str, str]:
    """Return the object's annotations."""
    return item.body["metadata"].get("annotations") or {}


def walk(node: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every value in and below ``node`` with its path."""
    yield path, node
    if isinstance(node, dict):
        for key, child in node.items():
            yield from walk(child, (*path, str(key)))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from walk(child, (*path, str(child.get("name", number)) if isinstance(child, dict) else str(number)))
