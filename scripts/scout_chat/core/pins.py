"""The pinned versions, read from ``schema/pins.yaml``."""

from functools import cache

from pydantic import BaseModel, ConfigDict

from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChartPin(_Strict):
    """A packaged chart: its exact version, the sha256 of the published archive, and its Helm repository."""

    version: str
    sha256: str
    repository: str


class ToolPin(_Strict):
    """A command-line tool.

    ``module`` is the folder under ``core/gomod`` that builds it, ``package`` the Go package, with ``ldflags`` and ``tags``.
    ``release`` is the URL of the official release, ``checksum`` that of its published sha256, and ``member`` the file inside the
    archive: format strings over name, version and arch. ``accept`` are the arguments that make a tool on PATH print its version.
    """

    version: str
    module: str
    package: str
    release: str = ""
    checksum: str = ""
    member: str = ""
    ldflags: str = ""
    tags: list[str] = []
    accept: list[str] = []


class EnginePin(_Strict):
    """An image of vLLM. Its tag is ``release``, which ``schema/vllm`` describes.

    ``source`` is the sha256 of the release's source archive on the Python package index, if the release has no build for CPUs.
    """

    repository: str
    release: str
    source: str = ""


class EnginePins(_Strict):
    """The images of vLLM for GPUs and for CPUs."""

    gpu: EnginePin
    cpu: EnginePin

    @property
    def releases(self) -> list[str]:
        """The pinned releases, that of GPUs first."""
        return list(dict.fromkeys((self.gpu.release, self.cpu.release)))


class Pins(_Strict):
    """Everything that is pinned. ``kubernetes`` lists the supported minors, the newest first."""

    engine: EnginePins
    charts: dict[str, ChartPin]
    kubernetes: list[str]
    tools: dict[str, ToolPin]


@cache
def pins() -> Pins:
    """Return the pins of this checkout."""
    return Pins.model_validate(kubeyaml.load((ROOT / "schema" / "pins.yaml").read_text()))
