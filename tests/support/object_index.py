"""The objects that one case renders, indexed once: by kind and name, as pods, and as a list of all their values."""

from functools import cached_property

from scout_chat.chart import objects as reader
from scout_chat.chart.objects import Node, Pod
from scout_chat.chart.render import Case, Object
from scout_chat.core.kubeyaml import KubeObject


class Manifests:
    """What one case renders."""

    def __init__(self, case: Case, objects: tuple[Object, ...]) -> None:
        self.case = case
        self.objects = objects

    @cached_property
    def pods(self) -> list[Pod]:
        return list(reader.pods(self.objects))

    @cached_property
    def nodes(self) -> list[Node]:
        """Return every value of every object except CRDs, with its path."""
        return list(reader.nodes(self.objects))

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
