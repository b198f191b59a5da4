"""Plan the engines of a preset. Each is one entry of the modelSpec list of the vllm-stack chart."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning import catalog, lookup
from scout_chat.planning.advice import alternatives, explain
from scout_chat.planning.catalog import Checkpoint, Gpu, Model
from scout_chat.planning.kv_cache import GIB
from scout_chat.planning.planner import CONTEXT, Plan, PlanRequest, plan
from scout_chat.presets import affinity
from scout_chat.presets.request import PresetRequest, Target

# A volume's GiB for each GB of weights, and GiB beside the weights for compiled kernels. A PVC cannot shrink: with so much beside the weights
# the volumes are as large as in release 0.2.0.
GIB_OF_A_GB, BESIDE_WEIGHTS_GIB = 1e9 / GIB, 18
# Time that a stopping engine gives to answers in progress. Kubernetes kills the pod after 30 seconds.
SHUTDOWN_SECONDS = 25
# Kubernetes allows 63 characters for the name of the Service, <release>-<name>-engine-service.
SERVICE_NAME_EXTRA, SERVICE_NAME_MAX = len("--engine-service"), 63
CPU_CONTEXT, CPU_SEQUENCES = 4096, 8


@dataclass(frozen=True)
class Placement:
    """A GPU type on which the engine's pods may run, and the plan for it."""

    gpu: Gpu
    plan: Plan


@dataclass(frozen=True)
class Engine:
    """One entry of modelSpec. ``plan`` is for the requested GPU, or for a CPU; a CPU has no ``placements``."""

    request: PresetRequest
    plan: Plan
    placements: tuple[Placement, ...] = ()

    @property
    def model(self) -> Model:
        return self.plan.request.model

    @property
    def checkpoint(self) -> Checkpoint:
        return self.plan.request.checkpoint

    @property
    def revision(self) -> str:
        """The commit, tag or branch of the repository whose weights the engine loads."""
        return self.request.revision or self.checkpoint.revision

    @property
    def gpu(self) -> Gpu | None:
        return self.plan.request.gpu

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def weights_mount(self) -> str:
        """The mount path of the volume that has the weights; empty if the engine downloads them."""
        return "/weights" if self.request.weights else ""

    @property
    def model_url(self) -> str:
        return f"{self.weights_mount}/{self.checkpoint.id}" if self.weights_mount else self.checkpoint.id

    @property
    def headline(self) -> str:
        """The model and the GPUs that it needs, for a heading."""
        gpus = self.plan.request.tensor_parallel
        quantized = "" if self.checkpoint.quantization in ("bf16", "mxfp4") else f" ({self.checkpoint.quantization})"
        least = min(placement.gpu.memory for placement in self.placements)
        return f"{self.model.title}{quantized} on {'one GPU' if gpus == 1 else f'{gpus} GPUs'} with {least} GB or more"

    @property
    def volume(self) -> KubeObject:
        """The pod's volume with the weights. Raises UserError for an unknown form of --weights."""
        return {"name": "weights", **self._volume_source()}

    def _volume_source(self) -> KubeObject:
        where = self.request.weights
        if found := re.fullmatch(r"nfs://(\[[^]/]+\]|[^/:]+)(/.*)", where):
            return {"nfs": {"server": found[1], "path": found[2], "readOnly": True}}
        if found := re.fullmatch(r"claim:([a-z0-9]([-.a-z0-9]*[a-z0-9])?)", where):
            return {"persistentVolumeClaim": {"claimName": found[1], "readOnly": True}}
        if where.startswith("/"):
            return {"hostPath": {"path": where, "type": "Directory"}}
        if found := re.fullmatch(r"(?:nfs://)?([^/:]+):(/[^/].*)", where):
            raise UserError(f"--weights {where!r} has a colon between server and path", f"Use nfs://{found[1]}{found[2]}.")
        raise UserError(f"--weights {where!r} is not a supported location", "Use nfs://SERVER/PATH, claim:NAME or /PATH/ON/THE/NODE.")

    @property
    def env(self) -> dict[str, str]:
        if not (self.request.offline or self.weights_mount):
            return dict(self.model.env)
        folder = self.weights_mount or "/data"
        return {**self.model.env, "HF_HUB_OFFLINE": "1", **{name: f"{folder}/{value}" for name, value in self.model.offlineEnv.items()}}

    @property
    def arguments(self) -> list[str]:
        """Arguments of vLLM for which the upstream chart has no key."""
        words = ["--served-model-name", self.name, *self.model.arguments]
        words += ["--max-num-batched-tokens", str(self.plan.request.max_num_batched_tokens)]
        if self.plan.request.kv_dtype != "auto":
            words += ["--kv-cache-dtype", self.plan.request.kv_dtype]
        if self.model.reasoning:
            words += ["--reasoning-parser", self.model.reasoning]
        if self.model.template:
            words += ["--chat-template", self.model.template]
        if self.checkpoint.ignore and not (self.weights_mount or self.request.offline):
            words += ["--ignore-patterns", *self.checkpoint.ignore]
        return [*words, "--shutdown-timeout", str(SHUTDOWN_SECONDS)]

    @property
    def storage_gib(self) -> int:
        """Size of the engine's own volume. It does not depend on how the weights get there, because a volume cannot shrink."""
        if not self.gpu:
            return 2
        # With room for the duplicate files, in case the patterns that leave them out no longer match.
        return ceil((max(self.checkpoint.disk * 1.1, self.checkpoint.repository) * GIB_OF_A_GB + BESIDE_WEIGHTS_GIB) / 10) * 10

    @property
    def shared_memory_gib(self) -> int:
        """Size of /dev/shm, over which the GPUs of one engine communicate. It counts towards the memory limit."""
        return self.memory_gib // 8 if self.plan.request.tensor_parallel == 1 else 8

    @property
    def memory_gib(self) -> int:
        """The memory request: less than the smallest machines with such a GPU have."""
        return 8 if self.checkpoint.disk < 20 else 16 if self.checkpoint.disk < 40 else 32

    @property
    def cores(self) -> int:
        return max(self.memory_gib // 4, 4 * self.plan.request.tensor_parallel)

    @cached_property
    def terms(self) -> list[affinity.Term]:
        return affinity.node_selector_terms([placement.gpu for placement in self.placements])


def engines(request: PresetRequest) -> list[Engine]:
    """Return a planned engine for each model of the request.

    Raises UserError for an engine that would not start or not hold the requested chats (the hint has what would fit), and for options that
    contradict each other.
    """
    if not request.models:
        raise UserError("preset needs a model", f"Models: {', '.join(catalog.models())}")
    planned = [_engine(request, target) for target in request.targets()]
    names = [engine.name for engine in planned]
    if len(set(names)) < len(names):
        raise UserError("a model occurs twice in the preset", "Use --replicas for several engines of one model.")
    return planned


def _engine(request: PresetRequest, target: Target) -> Engine:
    model, checkpoint = lookup.find_model(target.model)
    if not checkpoint.disk:
        hint = "Add schema/catalog/models/<name>.yaml (docs/explain/planner.md)."
        raise UserError(f"{target.model} is not in the catalog, so the size of its weights and its parsers are unknown", hint)
    _check_deployable(request, model, checkpoint)
    if target.gpu == "cpu":
        return _cpu_engine(request, model, checkpoint)
    if not target.gpu:
        raise UserError(f"the preset for {model.title} needs a GPU", f"Set --gpu to cpu or one of {', '.join(catalog.gpus())}.")
    gpu = lookup.find_gpu(target.gpu)
    wanted = PlanRequest(
        model,
        checkpoint,
        gpu,
        target.gpus,
        min(CONTEXT, model.longest) if request.context is None else request.context,
        request.concurrent_chats,
        request.kv_dtype,
        request.max_num_batched_tokens,
    )
    return _gpu_engine(request, wanted, gpu)


def _check_deployable(request: PresetRequest, model: Model, checkpoint: Checkpoint) -> None:
    """Raise UserError if the Service's name would be too long, or a gated repository would be downloaded without a token."""
    over = len(request.release) + len(model.name) + SERVICE_NAME_EXTRA - SERVICE_NAME_MAX
    if over > 0:
        raise UserError(
            f"release name {request.release!r} and model name {model.name!r} together are {over} characters too long", "Choose a shorter release name."
        )
    if checkpoint.gated and not (request.token_secret or request.weights or request.offline):
        raise UserError(
            f"{checkpoint.id} is gated: the Hugging Face Hub serves it only to accounts that accepted the {model.license.name}",
            f"Accept it at {checkpoint.page}, put a token into a Secret (key token), and set --token-secret NAME.",
        )


def _cpu_engine(request: PresetRequest, model: Model, checkpoint: Checkpoint) -> Engine:
    wanted = PlanRequest(
        model,
        checkpoint,
        gpu=None,
        context=CPU_CONTEXT if request.context is None else request.context,
        kv_dtype=request.kv_dtype,
        max_num_batched_tokens=request.max_num_batched_tokens,
        max_num_seqs=CPU_SEQUENCES,
        kv_gib=1 if request.kv_gib is None else request.kv_gib,
        device="cpu",
    )
    return Engine(request, _fitting(plan(wanted)))


def _gpu_engine(request: PresetRequest, wanted: PlanRequest, gpu: Gpu) -> Engine:
    """Return the engine with a placement for every GPU of the catalog that fits the plan for ``gpu``."""
    first = _fitting(plan(wanted))
    fixed = replace(first.request, max_num_seqs=first.max_num_seqs)
    possible = [Placement(other, answer) for other in catalog.gpus().values() if (answer := _try(replace(fixed, gpu=other)))]
    # The promised number of chats holds on every GPU with at least the requested GPU's memory.
    promised = request.concurrent_chats or min(item.plan.concurrent_chats for item in possible if item.plan.starts and item.gpu.memory >= gpu.memory)
    placements = [Placement(item.gpu, Plan(replace(item.plan.request, concurrent_chats=promised))) for item in possible]
    return Engine(request, Plan(replace(fixed, concurrent_chats=promised)), tuple(item for item in placements if item.plan.fits))


def _try(request: PlanRequest) -> Plan | None:
    try:
        return plan(request)
    except UserError:
        return None


def _fitting(answer: Plan) -> Plan:
    if answer.fits:
        return answer
    changes = "; ".join(other.change for other in alternatives(answer)) or "no single change of the request"
    raise UserError(f"{answer.request.model.title} does not fit: {explain(answer)} ({answer.shortfall_gib:.1f} GiB short)", f"What would fit: {changes}")
