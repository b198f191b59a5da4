"""Plan one engine: the memory that a GPU has left for the KV cache, and the chats that fit in it.

The cache's blocks are vLLM's own (kv_cache.py). The memory for the cache is an estimate: vLLM's share of the GPU, less the weights as
vLLM logged them on the machines of others, less a reserve for everything else.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import floor

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Checkpoint, Gpu, Model
from scout_chat.planning.kv_cache import GIB, Cache

UTILIZATION = 0.92  # vLLM's default for --gpu-memory-utilization.
TIGHT = 0.95  # On one GPU only: on several, vLLM's recipe for gpt-oss ran out of memory with it.
CONTEXT = 32768
BATCHED_TOKENS = 2048
GPU_COUNTS = (1, 2, 4, 8)
KV_DTYPES = ("auto", "fp8")
# GiB of each GPU for everything but weights and cache: CUDA, activations, CUDA graphs; on several GPUs also NCCL. Set by hand from
# start-up logs that others published.
RESERVE, RESERVE_PARALLEL = 2.0, 3.0
# Peak memory of the sampler, from the same logs: bytes for each sequence and each token of the vocabulary. The reserve covers 256 sequences.
SAMPLER_BYTES, SAMPLER_COVERED = 38.6, 256
# Below so many chats at the default utilization the planner takes the tight one.
FEW_CHATS = 4
MAX_SEQUENCES = 256


@dataclass(frozen=True)
class PlanRequest:
    """A planning request for one engine. The planner fills in fields that are None.

    ``context``: tokens. ``concurrent_chats``: chats of a full context that must fit in the cache at the same time. ``kv_gib``: GiB of each
    GPU for the cache, where that is known. ``device``: cuda or cpu.
    """

    model: Model
    checkpoint: Checkpoint
    gpu: Gpu | None
    tensor_parallel: int = 1
    context: int = CONTEXT
    concurrent_chats: int | None = None
    kv_dtype: str = "auto"
    max_num_batched_tokens: int = BATCHED_TOKENS
    max_num_seqs: int | None = None
    utilization: float | None = None
    kv_gib: float | None = None
    device: str = "cuda"


@dataclass(frozen=True)
class Memory:
    """GiB of each GPU: what vLLM may use, the weights' part of it, and the reserve."""

    usable_gib: float
    weights_gib: float
    reserve_gib: float

    @property
    def left_gib(self) -> float:
        """GiB for the cache; negative if the weights do not fit."""
        return self.usable_gib - self.weights_gib - self.reserve_gib


@dataclass(frozen=True)
class Plan:
    """The plan for a request whose ``utilization`` or ``kv_gib`` is set. Sizes are of each GPU."""

    request: PlanRequest

    @cached_property
    def cache(self) -> Cache:
        request = self.request
        return Cache(
            request.model.architecture,
            request.tensor_parallel,
            request.kv_dtype,
            request.max_num_batched_tokens,
            request.device,
            gdn_prefill=request.gpu.gdnPrefill if request.gpu else "triton",
        )

    @cached_property
    def memory(self) -> Memory | None:
        """How the GPU's memory is divided; None if the request states the size of the cache instead."""
        request = self.request
        if request.kv_gib is not None or request.gpu is None or request.utilization is None:
            return None
        reserve = RESERVE if request.tensor_parallel == 1 else RESERVE_PARALLEL
        sequences = max(0, (request.max_num_seqs or 0) - SAMPLER_COVERED)
        return Memory(
            request.gpu.cudaGib * request.utilization,
            request.checkpoint.loaded_gib(request.gpu.capability) / request.tensor_parallel,
            reserve + sequences * request.model.architecture.vocabulary * SAMPLER_BYTES / GIB,
        )

    @property
    def kv_gib(self) -> float:
        """GiB for the cache; negative if the weights do not fit."""
        if self.request.kv_gib is not None:
            return self.request.kv_gib
        if self.memory is None:
            raise ValueError("a plan needs a GPU and its utilization, or the size of the cache")
        return self.memory.left_gib

    @property
    def kv_bytes(self) -> int:
        return int(self.kv_gib * GIB)

    @property
    def kv_blocks(self) -> int:
        return self.cache.blocks(self.kv_bytes)

    @property
    def max_concurrency(self) -> float:
        """Requests of a full context that fit at the same time, as vLLM logs it."""
        return self.cache.concurrency(self.kv_bytes, self.request.context)

    @property
    def request_gib(self) -> float:
        """GiB of cache for one chat of a full context."""
        return self.cache.blocks_per_request(self.request.context) * self.cache.bytes_per_block / GIB

    @property
    def starts(self) -> bool:
        """Whether vLLM starts: it refuses to if not even one request fits."""
        return self.kv_bytes >= self.cache.bytes_needed(self.request.context)

    @property
    def concurrent_chats(self) -> int:
        """Chats of a full context that fit in the cache at the same time. vLLM queues further ones."""
        return floor(self.max_concurrency) if self.starts else 0

    @property
    def bottleneck(self) -> str:
        """What does not fit: weights, one request, concurrent chats; empty if everything fits."""
        if self.kv_gib <= 0:
            return "weights"
        if not self.starts:
            return "one request"
        return "concurrent chats" if self.concurrent_chats < (self.request.concurrent_chats or 1) else ""

    @property
    def fits(self) -> bool:
        return not self.bottleneck

    @property
    def shortfall_gib(self) -> float:
        """GiB that are missing for the request."""
        return max(0.0, self.cache.bytes_needed(self.request.context, self.request.concurrent_chats or 1) / GIB - self.kv_gib)

    @property
    def max_num_seqs(self) -> int:
        """Sequences in one step: the requested number, or twice the concurrent chats, so that titles do not wait for answers."""
        if self.request.max_num_seqs:
            return self.request.max_num_seqs
        wanted, most = (self.request.concurrent_chats, MAX_SEQUENCES) if self.request.concurrent_chats else (self.concurrent_chats, 64)
        sequences = 8
        while sequences < 2 * wanted and sequences < most:
            sequences *= 2
        # With linear attention or Mamba2 each sequence needs a block for its state; with fewer blocks vLLM does not start.
        return min(sequences, max(1, self.kv_blocks)) if self.request.model.architecture.states else sequences

    @property
    def longest(self) -> int:
        """The longest context at which the requested chats fit, in tokens, a multiple of 1024; 0 if none does."""
        return self.cache.longest(self.kv_bytes, self.request.model.longest, self.request.concurrent_chats or 1) // 1024 * 1024


def plan(request: PlanRequest) -> Plan:
    """Return the plan for a request. Without a utilization, take vLLM's default, or the tight one on one GPU that holds few chats otherwise.

    Raises UserError for a request that is incomplete, or that no amount of memory would satisfy: a context longer than the model's, heads
    that the GPUs cannot divide, an fp8 cache or a quantization without kernels for the GPU.
    """
    _check_model(request)
    _check_memory(request)
    if request.kv_gib is not None or request.utilization is not None:
        return Plan(request)
    usual = Plan(replace(request, utilization=UTILIZATION))
    enough = usual.fits and (request.concurrent_chats or usual.concurrent_chats >= FEW_CHATS)
    return usual if enough or request.tensor_parallel > 1 else Plan(replace(request, utilization=TIGHT))


def check_kv_dtype(name: str) -> None:
    """Raise UserError for a data type that the planner does not know."""
    if name not in KV_DTYPES:
        raise UserError(f"--kv-dtype {name!r} is not known", "auto (bf16) or fp8")


def check_counts(**counts: int | None) -> None:
    """Raise UserError for a number below 1; the names are those of the options."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise UserError(f"--{name.replace('_', '-')} is {count}", "Use 1 or more.")


def _check_model(request: PlanRequest) -> None:
    """Raise UserError if vLLM cannot run the model as requested, whatever the memory."""
    model, checkpoint, gpu = request.model, request.checkpoint, request.gpu
    check_kv_dtype(request.kv_dtype)
    if request.context > model.longest:
        raise UserError(
            f"--context {request.context} is more than the {model.longest} tokens that {model.title} supports", f"Use --context {model.longest} or less."
        )
    check_counts(
        context=request.context,
        gpus=request.tensor_parallel,
        max_num_batched_tokens=request.max_num_batched_tokens,
        concurrent_chats=request.concurrent_chats,
        max_num_seqs=request.max_num_seqs,
    )
    if error := model.architecture.split_error(request.tensor_parallel):
        possible = [str(number) for number in GPU_COUNTS if not model.architecture.split_error(number)]
        raise UserError(f"{model.title}: {error}", f"Possible numbers of GPUs: {', '.join(possible)}.")
    if gpu is None:
        return
    if not gpu.at_least(checkpoint.capability):
        others = ", ".join(other.name for other in catalog.gpus().values() if other.at_least(checkpoint.capability))
        raise UserError(
            f"{checkpoint.id} ({checkpoint.quantization}) needs compute capability {checkpoint.capability}, but {gpu.title} has {gpu.capability}",
            f"Use one of these GPUs: {others}.",
        )
    if request.kv_dtype == "fp8" and (error := fp8_error(model, gpu)):
        others = ", ".join(other.name for other in catalog.gpus().values() if not fp8_error(model, other))
        raise UserError(
            f"{model.title} with an fp8 KV cache does not start on {gpu.title}: {error}",
            f"Omit --kv-dtype fp8{f', or use one of these GPUs: {others}' if others else ''}.",
        )


def _check_memory(request: PlanRequest) -> None:
    """Raise UserError if the request does not determine the memory for the cache."""
    if request.utilization is not None and not 0 < request.utilization <= 1:
        raise UserError(f"--utilization {request.utilization} is not a fraction of the GPU's memory", "Use a number up to 1, for example 0.92.")
    if request.kv_gib is not None:
        if request.kv_gib <= 0:
            raise UserError(f"--kv-gib {request.kv_gib} leaves no KV cache", "Use a number above 0.")
        return
    if request.device == "cpu":
        raise UserError("a plan for a CPU needs the size of the KV cache (vLLM's VLLM_CPU_KVCACHE_SPACE)", "Set --kv-gib to the number of GiB.")
    if request.gpu is None:
        raise UserError("a plan needs a GPU, or the size of the KV cache", f"Set --gpu to one of {', '.join(catalog.gpus())}, or set --kv-gib.")
    if not request.checkpoint.loaded:
        raise UserError(
            f"{request.model.title} is not in the catalog, so the size of its weights is unknown", "Set the size of the KV cache instead: --kv-gib."
        )


def fp8_error(model: Model, gpu: Gpu) -> str:
    """Return why vLLM cannot keep this model's cache in fp8 on the GPU; empty if it can."""
    backends = gpu.attention[model.architecture.attention_kind]
    if set(backends) & set(gpu.fp8Kv):
        return ""
    return f"its attention runs on {' or '.join(sorted(backends))} there, which does not support fp8 on this GPU"
