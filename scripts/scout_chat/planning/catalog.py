"""The models and GPUs that presets are made for, typed. The files are ``schema/catalog/models/<name>.yaml`` and ``schema/catalog/gpus.yaml``."""

import difflib
import json
import re
from functools import cache, cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, ROOT
from scout_chat.planning import architecture
from scout_chat.planning.architecture import Architecture

MODELS = ROOT / "schema" / "catalog" / "models"
GPUS = ROOT / "schema" / "catalog" / "gpus.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownIssue(_Strict):
    """Something that went wrong for somebody, and where that is told."""

    issue: str
    source: str


class Checkpoint(_Strict):
    """One repository of weights.

    ``disk`` is gigabytes (10^9) of the files that vLLM loads; ``loaded`` is GiB in GPU memory as vLLM logs it ("Model loading took"), with
    ``loadedOn`` for capabilities where kernels want another layout. ``source`` says where the two are from. ``capability`` is the least
    that the quantisation's kernels need. ``ignore`` are files of the repository that are copies, and ``repository`` gigabytes with them.
    """

    id: str
    revision: str = "main"
    quantization: str
    disk: float
    loaded: float
    loadedOn: dict[str, float] = {}
    capability: str = "8.0"
    ignore: tuple[str, ...] = ()
    repository: float = 0
    source: str

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.id.rpartition("/")[2]

    def loaded_gib(self, capability: str) -> float:
        """GiB of all the weights in memory of GPUs of that compute capability."""
        return self.loadedOn.get(capability, self.loaded)


class License(_Strict):
    """``gated``: the hub gives the weights to accounts that accepted it, so a token is needed."""

    name: str
    gated: bool = False
    source: str


class Model(_Strict):
    """A model: what it is, how it is served, and ``config``, what of its config.json the arithmetic and vLLM's own code need.

    ``parameters`` and ``active`` in billions. ``tool`` and ``reasoning`` are parsers of vLLM's registries, empty where it has none.
    ``template`` is a chat template inside vLLM's image, where the repository's own does not do tools. ``arguments`` are more of
    ``vllm serve``. ``offlineEnv`` are variables that an engine without the internet needs, each with a folder below the weights. ``context``
    is the largest number of tokens that the model was made for, where config.json says another.
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
    config: dict
    name: str = ""

    @cached_property
    def architecture(self) -> Architecture:
        return architecture.read(self.config)

    @property
    def longest(self) -> int:
        """The longest context in tokens that it was made for."""
        return self.context or self.architecture.context


class Gpu(_Strict):
    """A GPU. The fields' meanings are in the file; ``fp8Kv`` are vLLM's attention backends that take an fp8 cache there."""

    title: str
    products: tuple[str, ...]
    memory: int
    cudaGib: float
    labelMib: int
    capability: str
    family: str
    fp8Kv: tuple[str, ...] = ()
    source: str
    name: str = ""

    def at_least(self, capability: str) -> bool:
        return tuple(map(int, self.capability.split("."))) >= tuple(map(int, capability.split(".")))


@cache
def models() -> dict[str, Model]:
    """Every model by its name. Raises UserError for a file that is none."""
    return {file.stem: read_model(file) for file in sorted(MODELS.glob("*.yaml"))}


def read_model(file: Path) -> Model:
    """Raises UserError, with every field that is wrong."""
    try:
        body = Model.model_validate({**kubeyaml.load(file.read_text()), "name": file.stem})
        _ = body.architecture
    except ValidationError as error:
        raise UserError(f"{file.name} is no model of the catalogue: {_fields(error)}", "schema/catalog/models/gpt-oss-120b.yaml is one.") from None
    return body


@cache
def gpus() -> dict[str, Gpu]:
    """Every GPU by its name."""
    return {name: Gpu.model_validate({**body, "name": name}) for name, body in kubeyaml.load(GPUS.read_text()).items()}


def gpu(name: str) -> Gpu:
    """By its name, a product's name, or the first words of a name. Raises UserError, with the nearest names, where that is none or several."""
    found = {_plain(key): item for key, item in gpus().items()} | {_plain(product): item for item in gpus().values() for product in item.products}
    if _plain(name) in found:
        return found[_plain(name)]
    # h100 is h100-80, as long as there is no other.
    begun = [item for item in gpus().values() if item.name.startswith(f"{name.lower()}-")]
    if len(begun) == 1:
        return begun[0]
    raise UserError(f"there is no GPU {name!r} in the catalogue", _nearest(name, gpus(), "schema/catalog/gpus.yaml"))


def find(name: str) -> tuple[Model, Checkpoint]:
    """A model and its checkpoint by the model's name or an alias (then the checkpoint that the catalogue prefers), or by a repository's name
    with or without its owner; what is spelt exactly so comes first, then any case and punctuation. A path of a config.json (or its folder)
    is taken too: then only the cache is known, not the weights.

    Raises UserError, with the nearest names, for one that is not in the catalogue.
    """
    if ("/" in name and Path(name).exists()) or name.endswith(".json"):
        return _from_file(Path(name))
    if name in models():
        return models()[name], models()[name].checkpoints[0]
    repositories = [(model, checkpoint) for model in models().values() for checkpoint in model.checkpoints]
    for same in (str, _plain):
        for model, checkpoint in repositories:
            if same(name) in (same(checkpoint.id), same(checkpoint.name)):
                return model, checkpoint
        for model in models().values():
            if same(name) in map(same, (model.name, model.title, *model.aliases)):
                return model, model.checkpoints[0]
    names = [*models(), *(checkpoint.id for model in models().values() for checkpoint in model.checkpoints)]
    raise UserError(f"there is no model {name!r} in the catalogue", _nearest(name, names, "schema/catalog/models; scout-chat plan takes a config.json too"))


def _from_file(path: Path) -> tuple[Model, Checkpoint]:
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as a model's config.json: {error}") from None
    title = file.resolve().parent.name
    unknown = Checkpoint(id=title, quantization="", disk=0, loaded=0, source="not in the catalogue")
    license = License(name="not in the catalogue", source="")
    return Model(title=title, name=title, parameters=0, active=0, license=license, checkpoints=(unknown,), config=config), unknown


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9/]", "", name.lower())


def _nearest(name: str, names: list[str] | dict, where: str) -> str:
    plain = {_plain(item): item for item in names}
    near = difflib.get_close_matches(_plain(name), plain, 4, 0.5) or [key for key in plain if _plain(name)[:4] in key][:4]
    known = ", ".join(plain[item] for item in near) if near else ", ".join(sorted(names)[:12])
    return f"Nearest: {known} ({where})"


def _fields(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def generated_files() -> dict[Path, str]:
    """What the chart's templates know of each repository of the catalogue."""
    lines = ["# Generated by `scout-chat generate` from schema/catalog/models. For templates/validate/before/subcharts/models.yaml."]
    for model in models().values():
        for checkpoint in model.checkpoints:
            facts = f"quantization: {checkpoint.quantization}, context: {model.longest}, heads: {model.architecture.heads}"
            lines.append(f"{checkpoint.id}: {{{facts}, gated: {str(model.license.gated).lower()}}}")
    return {CHART / "files" / "models.yaml": "\n".join(lines) + "\n"}
