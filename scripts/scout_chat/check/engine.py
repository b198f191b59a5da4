"""An engine as the chart renders it, after `engine` and `engines` were handed on: what vLLM reads, and what its pods request."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from scout_chat.chart.render import Object
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.pins import pins
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Checkpoint, Model
from scout_chat.vllm import arguments, release
from scout_chat.vllm.arguments import EngineCommand

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Engine:
    """An engine: its command, and the Deployment that runs it."""

    command: EngineCommand
    body: KubeObject

    @property
    def name(self) -> str:
        """The engine's name in modelSpec."""
        return str(self.body["metadata"]["labels"]["model"])

    @property
    def pod(self) -> KubeObject:
        """The spec of its pods."""
        return dict(self.body["spec"]["template"]["spec"])

    @property
    def container(self) -> KubeObject:
        return dict(self.pod["containers"][0])

    @property
    def image(self) -> str:
        return str(self.container["image"])

    @property
    def replicas(self) -> int:
        """Number of engines. An autoscaler sets it if the Deployment does not."""
        return int(self.body["spec"].get("replicas", 1))

    @property
    def devices(self) -> dict[str, str]:
        """The devices that each pod requests, such as ``nvidia.com/gpu: "2"``; empty for an engine on CPUs."""
        limits = self.container.get("resources", {}).get("limits") or {}
        return {name: str(number) for name, number in limits.items() if "/" in name}

    @property
    def env(self) -> dict[str, str]:
        """The container's variables. One that takes its value from elsewhere is empty."""
        return {entry["name"]: str(entry.get("value", "")) for entry in self.container.get("env") or []}

    @cached_property
    def errors(self) -> list[str]:
        """What vLLM refuses in its arguments; empty if ``unchecked`` says why nobody knows."""
        return [] if self.unchecked else arguments.validate(self.command.arguments, self.command.release)

    @cached_property
    def unchecked(self) -> str:
        """Why the arguments cannot be checked; empty if they can."""
        if not self.command.release:
            return f"the tag of {self.image} names no release of vLLM"
        try:
            release.recorded(self.command.release)
        except UserError as error:
            return str(error)
        return ""

    @cached_property
    def values(self) -> dict[str, object]:
        """The values of its arguments. A release without a record is read as the newest."""
        return arguments.values(self.command.arguments, pins().engine.gpu.release if self.unchecked else self.command.release)

    @property
    def model_url(self) -> str:
        return str(self.values.get("model_tag") or self.values.get("model") or "")

    @property
    def model(self) -> tuple[Model, Checkpoint] | None:
        """The model and its weights in the catalog, by the repository's exact name; None if they are not there.

        A folder of weights is named after its repository, as presets name it.
        """
        repository = "/".join(self.model_url.split("/")[-2:])
        weights = [(model, checkpoint) for model in catalog.models().values() for checkpoint in model.checkpoints]
        return next(((model, checkpoint) for model, checkpoint in weights if checkpoint.id == repository), None)


def engines(objects: Iterable[Object]) -> list[Engine]:
    """Return the engines that the chart rendered, in its order."""
    objects = list(objects)
    commands = arguments.engine_commands(objects)
    return [Engine(commands[item.name], item.body) for item in objects if item.kind == "Deployment" and item.name in commands]
