"""A render, indexed once: its objects by name, its pods wherever they stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scout_chat.chart.render import Case, Object

# An object and what is wrong with it. A rule yields these.
Found = tuple[Object, str]

POD_AT = {"Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template")} | dict.fromkeys(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")
)
HOOK = "helm.sh/hook"


@dataclass(frozen=True)
class Pod:
    """A pod, or a workload's template of one, and the object that holds it."""

    owner: Object
    metadata: dict
    spec: dict

    @property
    def labels(self) -> dict:
        return self.metadata.get("labels") or {}

    @property
    def containers(self) -> list[tuple[str, dict]]:
        """Every container with how a message calls it, init containers included."""
        return [(f"init container {part.get('name')}", part) for part in self.spec.get("initContainers") or []] + self.main

    @property
    def main(self) -> list[tuple[str, dict]]:
        return [(f"container {part.get('name')}", part) for part in self.spec.get("containers") or []]

    @property
    def long_running(self) -> list[tuple[str, dict]]:
        """Containers that run as long as the pod does: none in a hook or a job; a sidecar is one."""
        if self.owner.kind in ("Job", "CronJob") or HOOK in annotations(self.owner) or self.spec.get("restartPolicy", "Always") != "Always":
            return []
        return [(name, part) for name, part in self.containers if name.startswith("container") or part.get("restartPolicy") == "Always"]


class Render:
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
    def _named(self) -> dict[tuple[str, str], dict]:
        return {(item.kind, item.name): item.body for item in self.objects}

    def of(self, *kinds: str) -> list[Object]:
        return [item for item in self.objects if item.kind in kinds]

    def get(self, kind: str, name: str) -> dict | None:
        return self._named.get((kind, name))

    @cached_property
    def installed(self) -> list[Object]:
        """Everything but CRDs, whose schemas speak of fields that are none of theirs."""
        return [item for item in self.objects if item.kind != "CustomResourceDefinition"]


def annotations(item: Object) -> dict:
    return item.body["metadata"].get("annotations") or {}


def walk(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every value below with its path; a list's item goes by its name where it has one."""
    yield path, node
    if isinstance(node, dict):
        for key, child in node.items():
            yield from walk(child, (*path, str(key)))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from walk(child, (*path, str(child.get("name", number)) if isinstance(child, dict) else str(number)))
