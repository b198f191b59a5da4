"""Values files for models: chosen by the planner, written to be read by a person. ``schema/catalog/presets.yaml`` lists the shipped ones."""

import json
import re
import shlex
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import ceil
from pathlib import Path

import jinja2
from pydantic import BaseModel, ConfigDict

from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, PACKAGE, PRESETS, ROOT
from scout_chat.core.pins import pins
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Checkpoint, Gpu, Model
from scout_chat.planning.kv_cache import GIB
from scout_chat.planning.planner import BATCHED_TOKENS, CONTEXT, Plan, PlanRequest, changes, plan
from scout_chat.vllm import release

SHIPPED = ROOT / "schema" / "catalog" / "presets.yaml"
TEMPLATE = "preset.yaml.j2"
# GB of files become GiB of a volume, a tenth more, and room for compiled kernels beside them. A claim cannot shrink: with so much beside
# them the presets of 0.2.0 ask for what they asked for.
GB, BESIDE_WEIGHTS_GIB = 1e9 / GIB, 18
# What an engine that stops gives to answers under way: less than the 30 seconds after which Kubernetes kills it.
SHUTDOWN_SECONDS = 25
# What nvidia.com/gpu.memory must exceed for each GB on the box: the label lies up to 6 % below (23034 for 24 GB), and Gt is strict.
MIB_OF_A_GB = 950
# The Service is <release>-<name>-engine-service, and Kubernetes takes 63 characters.
AROUND_NAME, LONGEST_NAME = 16, 63
CPU_CONTEXT, CPU_SEQUENCES = 4096, 8
# A node that feature discovery says nothing about.
UNLABELLED = [{"key": "nvidia.com/gpu.product", "operator": "DoesNotExist"}]


class PresetRequest(BaseModel):
    """What ``scout-chat preset`` is asked for; the fields are its arguments and options. A model may name GPUs of its own: MODEL@GPUxN."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    models: tuple[str, ...]
    gpu: str = ""
    gpus: int = 1
    context: int | None = None
    concurrent_chats: int | None = None
    kv_dtype: str = "auto"
    kv_gib: int | None = None
    max_num_batched_tokens: int = BATCHED_TOKENS
    replicas: int = 1
    weights: str = ""
    prefetch: bool = False
    offline: bool = False
    token_secret: str = ""
    release: str = "chat"

    def command(self) -> str:
        """The command line that asks for this."""
        words = ["scout-chat", "preset", *self.models]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name != "models" and value != field.default:
                words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return shlex.join(words)


@dataclass(frozen=True)
class Engine:
    """One entry of modelSpec. ``plan`` is for the GPU that was named; ``others`` are plans for every GPU that its pods may go to."""

    request: PresetRequest
    plan: Plan
    others: tuple[Plan, ...] = ()

    @property
    def model(self) -> Model:
        return self.plan.ask.model

    @property
    def checkpoint(self) -> Checkpoint:
        return self.plan.ask.checkpoint

    @property
    def gpu(self) -> Gpu | None:
        return self.plan.ask.gpu

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def folder(self) -> str:
        """Where a volume with weights is mounted; empty if they are downloaded."""
        return "/weights" if self.request.weights else ""

    @property
    def model_url(self) -> str:
        return f"{self.folder}/{self.checkpoint.id}" if self.folder else self.checkpoint.id

    @property
    def headline(self) -> str:
        """What it is and what it needs, for a heading."""
        gpus = self.plan.ask.tensor_parallel
        quantized = "" if self.checkpoint.quantization in ("bf16", "mxfp4") else f" ({self.checkpoint.quantization})"
        least = min(other.ask.gpu.memory for other in self.others)
        return f"{self.model.title}{quantized} on {'one GPU' if gpus == 1 else f'{gpus} GPUs'} with {least} GB or more"

    @property
    def volume(self) -> dict:
        """The volume with the weights, as Kubernetes writes it."""
        return {"name": "weights", **self._volume_source()}

    def _volume_source(self) -> dict:
        where = self.request.weights
        if found := re.fullmatch(r"nfs://([^/]+)(/.*)", where):
            return {"nfs": {"server": found[1], "path": found[2], "readOnly": True}}
        if found := re.fullmatch(r"claim:([a-z0-9]([-.a-z0-9]*[a-z0-9])?)", where):
            return {"persistentVolumeClaim": {"claimName": found[1], "readOnly": True}}
        if where.startswith("/"):
            return {"hostPath": {"path": where, "type": "Directory"}}
        raise UserError(f"--weights {where!r} is no place that weights can be in", "One of nfs://SERVER/PATH, claim:NAME, /PATH/ON/THE/NODE")

    @property
    def env(self) -> dict[str, str]:
        request, env = self.request, dict(self.model.env)
        if request.offline or self.folder:
            env |= {"HF_HUB_OFFLINE": "1"}
        if request.offline or self.folder:
            env |= {name: f"{self.folder or '/data'}/{value}" for name, value in self.model.offlineEnv.items()}
        return env

    @property
    def arguments(self) -> list[str]:
        """vLLM's arguments for which the upstream chart has no key."""
        words = ["--served-model-name", self.name, *self.model.arguments]
        words += ["--max-num-batched-tokens", str(self.plan.ask.max_num_batched_tokens)]
        if self.plan.ask.kv_dtype != "auto":
            words += ["--kv-cache-dtype", self.plan.ask.kv_dtype]
        if self.model.reasoning:
            words += ["--reasoning-parser", self.model.reasoning]
        if self.model.template:
            words += ["--chat-template", self.model.template]
        if self.checkpoint.ignore and not (self.folder or self.request.offline):
            words += ["--ignore-patterns", *self.checkpoint.ignore]
        return [*words, "--shutdown-timeout", str(SHUTDOWN_SECONDS)]

    @property
    def storage_gib(self) -> int:
        """Size of the engine's own volume. The same for every way in which weights reach it: a volume cannot shrink."""
        if not self.gpu:
            return 2
        # Room for the copies as well, should a pattern one day leave out nothing.
        return ceil((max(self.checkpoint.disk * 1.1, self.checkpoint.repository) * GB + BESIDE_WEIGHTS_GIB) / 10) * 10

    @property
    def shared_memory_gib(self) -> int:
        """GPUs of one engine talk through it; it counts against the memory limit."""
        return self.memory_gib // 8 if self.plan.ask.tensor_parallel == 1 else 8

    @property
    def memory_gib(self) -> int:
        """What is asked of a node: less than the smallest machines with such a GPU have."""
        return 8 if self.checkpoint.disk < 20 else 16 if self.checkpoint.disk < 40 else 32

    @property
    def cores(self) -> int:
        return max(self.memory_gib // 4, 4 * self.plan.ask.tensor_parallel)

    @cached_property
    def terms(self) -> list[list[dict]]:
        """nodeSelectorTerms: the nodes whose GPUs the planner takes, told by labels of NVIDIA's GPU feature discovery.

        A least memory and a least compute capability where those tell them apart, else the products by name. And, last, nodes
        without such labels: where feature discovery does not run, every pod would stay Pending.
        """
        accepted = {other.ask.gpu.name for other in self.others}
        memory = min(other.ask.gpu.memory for other in self.others)
        enough = {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": [str(memory * MIB_OF_A_GB)]}
        for capability in ("8.0", "8.9", "9.0"):
            if {gpu.name for gpu in catalog.gpus().values() if gpu.memory >= memory and gpu.at_least(capability)} == accepted:
                return [*([enough, *term] for term in _capability(capability)), UNLABELLED]
        products = [product for other in self.others for product in other.ask.gpu.products]
        return [[{"key": "nvidia.com/gpu.product", "operator": "In", "values": products}], UNLABELLED]


def _capability(least: str) -> list[list[dict]]:
    """Terms, of which one must hold, for a compute capability of ``least`` or more. Gt is strict, and there is no 'or' inside a term."""
    major, minor = map(int, least.split("."))
    newer = [{"key": "nvidia.com/gpu.compute.major", "operator": "Gt", "values": [str(major if minor else major - 1)]}]
    if not minor:
        return [newer]
    same = {"key": "nvidia.com/gpu.compute.major", "operator": "In", "values": [str(major)]}
    return [newer, [same, {"key": "nvidia.com/gpu.compute.minor", "operator": "Gt", "values": [str(minor - 1)]}]]


def engines(request: PresetRequest) -> list[Engine]:
    """An engine for each model, planned. Raises UserError for what would not start, or not hold what is asked for, with what would."""
    if not request.models:
        raise UserError("preset needs a model", f"Models: {', '.join(catalog.models())}")
    places = [_place(request, word) for word in request.models]
    _check_options(request, {gpu for _, gpu, _ in places})
    made = [_engine(request, *place) for place in places]
    names = [engine.name for engine in made]
    if len(set(names)) < len(names):
        raise UserError("one model stands twice in the preset", "For more engines of one model: --replicas")
    return made


def _place(request: PresetRequest, word: str) -> tuple[str, str, int]:
    """MODEL, MODEL@GPU or MODEL@GPUxN: the model, its GPU, and how many of them."""
    model, gpu, gpus = re.fullmatch(r"([^@]*)(?:@(.+?)(?:x(\d+))?)?", word).groups()
    return (model, gpu, int(gpus or 1)) if gpu else (model, request.gpu, request.gpus)


def _check_options(request: PresetRequest, gpus: set[str]) -> None:
    """Raises UserError for an option that would not be used: none is dropped in silence."""

    def given(*options: str) -> str:
        return next((f"--{name.replace('_', '-')}" for name in options if getattr(request, name) != PresetRequest.model_fields[name].default), "")

    if "cpu" in gpus:
        if len(request.models) > 1:
            raise UserError("a preset for a CPU takes one model: it is the small one that tries the chart out")
        if unused := given("gpus", "concurrent_chats", "weights", "prefetch", "offline", "token_secret", "replicas"):
            raise UserError(f"a preset for a CPU takes no {unused}", "Options with --gpu cpu: --context, --kv-gib, --kv-dtype.")
    elif given("kv_gib"):
        raise UserError("--kv-gib is for --gpu cpu: on a GPU the cache takes what the weights leave", "scout-chat plan shows how much that is.")
    if (request.weights or request.offline) and (unused := given("prefetch", "token_secret")):
        raise UserError(f"{unused} is for weights that are fetched, and with --weights or --offline none are", "Leave one of them out.")


def _engine(request: PresetRequest, name: str, gpu_name: str, gpus: int) -> Engine:
    model, checkpoint = catalog.find(name)
    if not checkpoint.disk:
        hint = "Add schema/catalog/models/<name>.yaml (docs/planner.md), then ask again."
        raise UserError(f"{name} is not in the catalogue, so its weights and parsers are not known", hint)
    over = len(request.release) + len(model.name) + AROUND_NAME - LONGEST_NAME
    if over > 0:
        raise UserError(
            f"release name {request.release!r} and model name {model.name!r} are too long together, by {over} characters", "Take a shorter release name."
        )
    if model.license.gated and not (request.token_secret or request.weights or request.offline):
        raise UserError(
            f"{checkpoint.id} is gated: the hub gives its weights to accounts that accepted the {model.license.name}",
            f"Accept it at {model.license.source}, put a token into a Secret (key token), and say --token-secret NAME.",
        )
    asked = {"kv_dtype": request.kv_dtype, "max_num_batched_tokens": request.max_num_batched_tokens}
    if gpu_name == "cpu":
        kv_gib, context = request.kv_gib or 1, request.context or CPU_CONTEXT
        return Engine(
            request, _fitting(plan(PlanRequest(model, checkpoint, None, context=context, kv_gib=kv_gib, max_num_seqs=CPU_SEQUENCES, device="cpu", **asked)))
        )
    if not gpu_name:
        raise UserError(f"which GPU is {model.title} for?", f"--gpu, one of cpu, {', '.join(catalog.gpus())}")
    gpu, context = catalog.gpu(gpu_name), request.context or min(CONTEXT, model.longest)
    first = _fitting(plan(PlanRequest(model, checkpoint, gpu, gpus, context, request.concurrent_chats, **asked)))
    fixed = replace(first.ask, max_num_seqs=first.max_num_seqs)
    answers = [answer for other in catalog.gpus().values() if (answer := _try(replace(fixed, gpu=other)))]
    # What is promised holds on every card of that size or more.
    concurrent_chats = request.concurrent_chats or min(answer.concurrent_chats for answer in answers if answer.starts and answer.ask.gpu.memory >= gpu.memory)
    others = [Plan(replace(answer.ask, concurrent_chats=concurrent_chats)) for answer in answers]
    return Engine(request, Plan(replace(fixed, concurrent_chats=concurrent_chats)), tuple(other for other in others if other.fits))


def _try(ask: PlanRequest) -> Plan | None:
    try:
        return plan(ask)
    except UserError:
        return None


def _fitting(answer: Plan) -> Plan:
    if answer.fits:
        return answer
    what = "; ".join(text for text, _ in changes(answer)) or "nothing near to it"
    raise UserError(f"{answer.ask.model.title} does not fit: {answer.why()} ({answer.shortfall_gib:.1f} GiB short)", f"What would fit: {what}")


def write(request: PresetRequest) -> str:
    """The values file."""
    made = engines(request)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PACKAGE / "presets"), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["flow"] = _flow
    name = "local.yaml.j2" if made[0].gpu is None else TEMPLATE
    text = environment.get_template(name).render(
        request=request, engines=made, pins=pins(), tag=release.pinned(), headline="; ".join(engine.headline for engine in made if engine.gpu)
    )
    kubeyaml.load(text)
    return text


def _flow(value: object) -> str:
    """A value on one line, as a person writes YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z/][\w./*:-]*", value) and value.lower() not in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
        return value if plain and not value.endswith(":") else json.dumps(value)
    return str(value)


@cache
def shipped() -> dict[str, PresetRequest]:
    """The shipped presets by the names of their files under values/, without .yaml."""
    return {name: PresetRequest.model_validate(body) for name, body in kubeyaml.load(SHIPPED.read_text()).items()}


def reference() -> str:
    """docs/presets.md: every shipped file, what it needs and what it holds."""
    lines = [
        "# The shipped presets",
        "",
        "Generated by `scout-chat generate` from `schema/catalog/presets.yaml` and the planner ([planner.md](planner.md)). Chats are those of a full",
        "context that are in the cache at once, on each kind of GPU that the file's node affinity admits; more wait for their turn.",
        "",
        "| values/ | model | weights | licence | GPUs | context | chats at once | volume |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, request in shipped().items():
        for engine in engines(request):
            ask, model = engine.plan.ask, engine.model
            chats = ", ".join(f"{other.concurrent_chats} {other.ask.gpu.name}" for other in engine.others) or f"{engine.plan.concurrent_chats} cpu"
            cells = [
                f"[{name}](../values/{name}.yaml)",
                model.title,
                f"{engine.checkpoint.id}, {engine.checkpoint.disk:g} GB",
                f"{model.license.name}{', gated' if model.license.gated else ''}",
                str(ask.tensor_parallel if ask.gpu else 0),
                str(ask.context),
                chats,
                "its own" if engine.folder else f"{engine.storage_gib}Gi",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def generated_files() -> dict[Path, str]:
    """Every generated values file. chart-testing installs the local one."""
    texts = {PRESETS / f"{name}.yaml": write(request) for name, request in shipped().items()}
    return texts | {CHART / "ci" / "local-values.yaml": texts[PRESETS / "local.yaml"], ROOT / "docs" / "presets.md": reference()}
