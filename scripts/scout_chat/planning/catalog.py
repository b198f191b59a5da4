"""The models and GPUs that presets are made for. The files are ``schema/catalog/models/<name>.yaml`` and ``schema/catalog/gpus.yaml``."""

from functools import cache, cached_property
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, ROOT
from scout_chat.planning import architecture
from scout_chat.planning.architecture import Architecture, AttentionKind, GdnPrefill, ModelConfig

MODELS = ROOT / "schema" / "catalog" / "models"
GPUS = ROOT / "schema" / "catalog" / "gpus.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownIssue(_Strict):
    """A problem that others had with a model or a checkpoint, and where they describe it. ``workaround``: values that avoid it, as YAML."""

    issue: str
    workaround: str = ""
    source: str


class Checkpoint(_Strict):
    """One repository of weights on the Hugging Face Hub.

    ``revision``: the newest commit that public sources name, looked up in November 2026; ``main`` if none was found. ``gated``: the Hub
    serves the files only to accounts that accepted the license, so the download needs a token. ``disk``: gigabytes (10^9 bytes) of the
    files that vLLM loads. ``loaded``: GiB in GPU memory, as vLLM logs it ("Model loading took"). ``loadedOn``: the same for compute
    capabilities whose kernels need another layout of the weights. ``source``: where these sizes come from. ``capability``: the lowest
    compute capability that the kernels of its quantization support. ``ignore``: glob patterns of duplicate files. ``repository``: total
    size in GB including them.
    """

    id: str
    revision: str = "main"
    gated: bool = False
    quantization: str
    disk: float
    loaded: float
    loadedOn: dict[str, float] = {}
    capability: str = "8.0"
    ignore: tuple[str, ...] = ()
    repository: float = 0
    source: str
    knownIssues: tuple[KnownIssue, ...] = ()

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.id.rpartition("/")[2]

    @property
    def page(self) -> str:
        """The repository's page on the Hugging Face Hub."""
        return f"https://huggingface.co/{self.id}"

    def loaded_gib(self, capability: str) -> float:
        """Return the GiB that all weights take in the memory of GPUs of this compute capability."""
        return self.loadedOn.get(capability, self.loaded)


class License(_Strict):
    """The terms of a model's weights. ``source``: the page that states them."""

    name: str
    source: str


class Model(_Strict):
    """A model: what it is, how it is served, and the part of its config.json that the planner and vLLM's own code need.

    ``parameters`` and ``active``: in billions. ``tool`` and ``reasoning``: names in vLLM's parser registries; empty if vLLM has no parser
    for it. ``template``: a chat template in vLLM's image, for models whose own template does not support tools. ``arguments``: additional
    arguments of ``vllm serve``. ``offlineEnv``: environment variables that an engine without internet access needs, each with a folder
    below the weights. ``context``: the most tokens that the model was trained for, if config.json states another number.
    """

    title: str
    aliases: tuple[str, ...] = ()
    parameters: float
    active: float
    vision: bool = False
    license: License
    checkpoints: tuple[Checkpoint, ...]
    tool: str = ""
    reasoning: str = ""
    template: str = ""
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = {}
    offlineEnv: dict[str, str] = {}
    context: int = 0
    knownIssues: tuple[KnownIssue, ...] = ()
    config: ModelConfig
    name: str = ""

    @cached_property
    def architecture(self) -> Architecture:
        return architecture.read(self.config)

    @property
    def longest(self) -> int:
        """The longest context that the model supports, in tokens."""
        return self.context or self.architecture.context

    def issues(self, checkpoint: Checkpoint) -> tuple[KnownIssue, ...]:
        """Return the known issues of the model with these weights."""
        return checkpoint.knownIssues + self.knownIssues


class Gpu(_Strict):
    """A GPU with the attention kernels of its family. The file explains the fields; an entry may override its family's kernels."""

    title: str
    products: tuple[str, ...]
    memory: int
    cudaGib: float
    labelMib: int
    capability: str
    family: str
    attention: dict[AttentionKind, tuple[str, ...]]
    fp8Kv: tuple[str, ...]
    gdnPrefill: GdnPrefill
    source: str
    name: str = ""

    @field_validator("attention")
    @classmethod
    def _every_kind(cls, backends: dict[AttentionKind, tuple[str, ...]]) -> dict[AttentionKind, tuple[str, ...]]:
        if missing := set(get_args(AttentionKind)) - set(backends):
            raise ValueError(f"no backends for {', '.join(sorted(missing))}")
        return backends

    def at_least(self, capability: str) -> bool:
        """Return whether the GPU has this compute capability or a higher one."""
        return version(self.capability) >= version(capability)


def version(capability: str) -> tuple[int, int]:
    """Return a compute capability as numbers that compare: 10.0 is higher than 9.0."""
    major, minor = capability.split(".")
    return int(major), int(minor)


@cache
def models() -> dict[str, Model]:
    """Return every model by name. Raises UserError for an invalid file."""
    return {file.stem: read_model(file) for file in sorted(MODELS.glob("*.yaml"))}


def read_model(file: Path) -> Model:
    """Return the model that a file of the catalog describes. Raises UserError that names every invalid field."""
    try:
        model = Model.model_validate({**kubeyaml.load(file.read_text()), "name": file.stem})
        _ = model.architecture
    except ValidationError as error:
        raise UserError(
            f"{file.name} is not a valid model of the catalog: {_fields(error)}", "schema/catalog/models/gpt-oss-120b.yaml is an example."
        ) from None
    return model


@cache
def gpus() -> dict[str, Gpu]:
    """Return every GPU by name. Raises UserError for an invalid entry."""
    return read_gpus(GPUS)


def read_gpus(file: Path) -> dict[str, Gpu]:
    """Return the GPUs that a file describes, by name. Raises UserError that names the entry and every invalid field."""
    content = kubeyaml.load(file.read_text())
    found = {}
    if unknown := content.keys() - {"families", "gpus"}:
        raise UserError(f"{file.name} has {', '.join(sorted(unknown))} beside families and gpus", "Indent a GPU's entry below gpus.")
    for name, body in content["gpus"].items():
        family = content["families"].get(body.get("family"))
        if family is None:
            raise UserError(f"{file.name}: gpus.{name}.family {body.get('family')!r} is not a family", f"families: has {', '.join(content['families'])}")
        try:
            found[name] = Gpu.model_validate({**family, **body, "name": name})
        except ValidationError as error:
            raise UserError(f"{file.name}: gpus.{name}: {_fields(error)}", "The head of the file explains the fields.") from None
    return found


def family_capabilities() -> list[str]:
    """Return the lowest compute capability of each GPU family in the catalog, in ascending order."""
    lowest: dict[str, str] = {}
    for item in sorted(gpus().values(), key=lambda gpu: version(gpu.capability), reverse=True):
        lowest[item.family] = item.capability
    return sorted(lowest.values(), key=version)


def _fields(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def generated_files() -> dict[Path, str]:
    """Return the file with what the chart's templates know of each repository in the catalog."""
    lines = ["# Generated by `scout-chat generate` from schema/catalog/models. For templates/validate/before/subcharts/models.yaml."]
    for model in models().values():
        for checkpoint in model.checkpoints:
            facts = f"quantization: {checkpoint.quantization}, context: {model.longest}, heads: {model.architecture.heads}"
            lines.append(f"{checkpoint.id}: {{{facts}, gated: {str(checkpoint.gated).lower()}}}")
    return {CHART / "files" / "models.yaml": "\n".join(lines) + "\n"}
