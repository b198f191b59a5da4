"""The pinned versions, typed. The file is ``schema/pins.yaml``."""

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict

from scout_chat.core.paths import ROOT


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChartPin(_Strict):
    """A packaged chart: exact version, sha256 of the published archive, Helm repository."""

    version: str
    sha256: str
    repository: str


class ToolPin(_Strict):
    """A command-line tool. ``release``, ``checksum`` and ``member`` are templates over name, version and arch."""

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
    """Images of vLLM, for GPUs and for CPUs; their tag is the release that ``schema/vllm`` describes."""

    repository: str
    cpu: str


class Pins(_Strict):
    engine: EnginePin
    charts: dict[str, ChartPin]
    kubernetes: list[str]
    tools: dict[str, ToolPin]


@cache
def pins() -> Pins:
    """The pins of this checkout."""
    return Pins.model_validate(yaml.safe_load((ROOT / "schema" / "pins.yaml").read_text()))
