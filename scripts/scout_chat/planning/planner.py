"""What fits where, and for how many: the arithmetic of one engine, before anything is bought or installed.

The blocks are vLLM's own (kvcache.py). What is left for them is an estimate: a share of the GPU less the weights, as vLLM logged them for
others, less a reserve for everything else.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import floor

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Checkpoint, Gpu, Model
from scout_chat.planning.kv_cache import GIB, Cache

UTILIZATION = 0.92  # vLLM's default
TIGHT = 0.95  # On one GPU; on several, vLLM's recipe for gpt-oss saw it run out of memory.
CONTEXT = 32768
BATCHED_TOKENS = 2048
# GiB of each GPU besides weights and cache (CUDA, activations, CUDA graphs), and with NCCL where there are several: set by hand, from start-up
# logs of others.
RESERVE, RESERVE_PARALLEL = 2.0, 3.0
# The sampler's peak, from such logs: bytes for each sequence and each word of the vocabulary. The reserve covers 256 sequences.
SAMPLER_BYTES, SAMPLER_COVERED = 38.6, 256
MOST_SEQUENCES = 256


@dataclass(frozen=True)
class PlanRequest:
    """What is asked of one engine. None: the planner chooses. ``kv_gib``: the GiB left for the cache of each GPU are known."""

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
class Plan:
    """The answer for one ``Ask`` whose utilization is decided."""

    ask: PlanRequest

    @cached_property
    def cache(self) -> Cache:
        ask = self.ask
        return Cache(ask.model.architecture, ask.tensor_parallel, ask.kv_dtype, ask.max_num_batched_tokens, ask.device)

    @property
    def usable_gib(self) -> float:
        """The share of each GPU that vLLM takes."""
        return self.ask.gpu.cudaGib * self.ask.utilization

    @property
    def weights_gib(self) -> float:
        """The weights' part of each GPU."""
        return self.ask.checkpoint.loaded_gib(self.ask.gpu.capability if self.ask.gpu else "") / self.ask.tensor_parallel

    @property
    def reserve_gib(self) -> float:
        more = max(0, (self.ask.max_num_seqs or 0) - SAMPLER_COVERED) * self.ask.model.architecture.vocabulary * SAMPLER_BYTES / GIB
        return (RESERVE if self.ask.tensor_parallel == 1 else RESERVE_PARALLEL) + more

    @property
    def kv_gib(self) -> float:
        """GiB of each GPU for the cache; negative where the weights alone do not fit."""
        return self.ask.kv_gib if self.ask.kv_gib is not None else self.usable_gib - self.weights_gib - self.reserve_gib

    @property
    def kv_bytes(self) -> int:
        return int(self.kv_gib * GIB)

    @property
    def kv_blocks(self) -> int:
        return self.cache.blocks(self.kv_bytes)

    @property
    def max_concurrency(self) -> float:
        return self.cache.concurrency(self.kv_bytes, self.ask.context)

    @property
    def request_gib(self) -> float:
        """GiB of each GPU's cache that a chat of a full context takes."""
        return self.cache.blocks_per_request(self.ask.context) * self.cache.bytes_per_block / GIB

    @property
    def starts(self) -> bool:
        """vLLM refuses to start where not even one request fits."""
        return self.kv_bytes >= self.cache.bytes_needed(self.ask.context)

    @property
    def concurrent_chats(self) -> int:
        """Chats of a full context that are in the cache at once; more of them wait for their turn."""
        return floor(self.max_concurrency) if self.starts else 0

    @property
    def bottleneck(self) -> str:
        """What stands in the way: weights, one request, concurrent chats; empty if it fits."""
        if self.kv_gib <= 0:
            return "weights"
        if not self.starts:
            return "one request"
        return "concurrent chats" if self.concurrent_chats < (self.ask.concurrent_chats or 1) else ""

    @property
    def fits(self) -> bool:
        return not self.bottleneck

    @property
    def shortfall_gib(self) -> float:
        """GiB of each GPU that are missing for what was asked."""
        return max(0.0, self.cache.bytes_needed(self.ask.context, self.ask.concurrent_chats or 1) / GIB - self.kv_gib)

    @property
    def max_num_seqs(self) -> int:
        """Sequences in one step: as asked, or twice the concurrent chats, so that titles do not wait for answers."""
        if self.ask.max_num_seqs:
            return self.ask.max_num_seqs
        wanted, most = (self.ask.concurrent_chats, MOST_SEQUENCES) if self.ask.concurrent_chats else (self.concurrent_chats, 64)
        sequences = 8
        while sequences < 2 * wanted and sequences < most:
            sequences *= 2
        # Each sequence of a hybrid needs a block for its state, or vLLM does not start.
        return min(sequences, max(1, self.kv_blocks)) if self.ask.model.architecture.states else sequences

    @property
    def longest(self) -> int:
        """The longest context, in whole KiB of tokens, with which what was asked for fits; 0 if none."""
        return self.cache.longest(self.kv_bytes, self.ask.model.longest, self.ask.concurrent_chats or 1) // 1024 * 1024

    def why(self) -> str:
        """One sentence for ``binds``."""
        ask = self.ask
        many = f"{ask.tensor_parallel} x {ask.gpu.title}, each" if ask.gpu and ask.tensor_parallel > 1 else ask.gpu.title if ask.gpu else "the GPU"
        if self.bottleneck == "weights":
            taken = f"the weights ({self.weights_gib:.1f} GiB) and the reserve ({self.reserve_gib:.1f})"
            return f"{taken} do not fit into the {self.usable_gib:.1f} GiB of {many} that vLLM may use"
        if self.bottleneck == "one request":
            return (
                f"one request of {ask.context} tokens takes {self.cache.bytes_needed(ask.context) / GIB:.2f} GiB of cache, and {many} leaves {self.kv_gib:.2f}"
            )
        if self.bottleneck == "concurrent chats":
            return f"{chats(self.concurrent_chats)} of {ask.context} tokens fit at once, and {ask.concurrent_chats} are asked for"
        return f"{chats(self.concurrent_chats)} of {ask.context} tokens fit at once"

    def as_json(self) -> dict:
        """Everything, in GiB of each GPU, tokens and blocks."""
        ask = self.ask
        known = ask.gpu is not None and ask.kv_gib is None
        return {
            "model": ask.model.name,
            "checkpoint": ask.checkpoint.id,
            "gpu": ask.gpu.name if ask.gpu else None,
            "tensor_parallel": ask.tensor_parallel,
            "context": ask.context,
            "concurrent_chats": ask.concurrent_chats,
            "kv_dtype": ask.kv_dtype,
            "max_num_batched_tokens": ask.max_num_batched_tokens,
            "max_num_seqs": self.max_num_seqs,
            "gpu_memory_utilization": ask.utilization,
            "usable_gib": round(self.usable_gib, 2) if known else None,
            "weights_gib": round(self.weights_gib, 2) if known else None,
            "reserve_gib": round(self.reserve_gib, 2) if known else None,
            "kv_gib": round(self.kv_gib, 4),
            "block_size": self.cache.block_size,
            "bytes_per_block": self.cache.bytes_per_block,
            "blocks_per_request": self.cache.blocks_per_request(ask.context),
            "kv_blocks": self.kv_blocks,
            "max_concurrency": self.max_concurrency,
            "kv_cache_tokens": int(self.max_concurrency * ask.context),
            "fits": self.fits,
            "bottleneck": self.bottleneck or None,
            "why": self.why(),
            "shortfall_gib": round(self.shortfall_gib, 2),
            "changes": [] if self.fits else [text for text, _ in changes(self)],
        }


def chats(number: int) -> str:
    return f"{number} chat{'s' * (number != 1)}"


def plan(ask: PlanRequest) -> Plan:
    """Raises UserError for what no amount of memory would make right: a context beyond the model's, heads that cannot be shared out,
    a cache of fp8 or a quantisation that the GPU's kernels do not have."""
    model, gpu = ask.model, ask.gpu
    if ask.context > model.longest:
        raise UserError(
            f"{model.title} was made for {model.longest} tokens of context, and {ask.context} are asked for", f"Ask for --context {model.longest} at most."
        )
    if (
        min(
            ask.context, ask.tensor_parallel, ask.max_num_batched_tokens, *(number for number in (ask.concurrent_chats, ask.max_num_seqs) if number is not None)
        )
        < 1
    ):
        raise UserError("context, concurrent chats, GPUs, tokens and sequences are 1 or more")
    if refusal := model.architecture.refuses(ask.tensor_parallel):
        fine = [str(number) for number in (1, 2, 4, 8) if not model.architecture.refuses(number)]
        raise UserError(f"{model.title}: {refusal}", f"It can be on {', '.join(fine)}.")
    if gpu and not gpu.at_least(ask.checkpoint.capability):
        raise UserError(
            f"{ask.checkpoint.id} ({ask.checkpoint.quantization}) needs compute capability {ask.checkpoint.capability}, and {gpu.title} has {gpu.capability}"
        )
    if gpu and ask.kv_dtype == "fp8" and (refusal := refuses_fp8(model, gpu)):
        raise UserError(
            f"{model.title} with a cache of fp8 does not start on {gpu.title}: {refusal}",
            "Leave out --kv-dtype fp8, or take a GPU of Ada, Hopper or Blackwell.",
        )
    if ask.utilization is not None and not 0 < ask.utilization <= 1:
        raise UserError(f"--utilization {ask.utilization} is no share of a GPU", "A number up to 1, for example 0.92.")
    if ask.kv_gib is not None:
        if ask.kv_gib <= 0:
            raise UserError(f"--kv-gib {ask.kv_gib} leaves no cache")
        return Plan(ask)
    if ask.device == "cpu":
        raise UserError("on a CPU the cache has the memory that it is given (VLLM_CPU_KVCACHE_SPACE)", "Say how many GiB: --kv-gib.")
    if gpu is None:
        raise UserError("which GPU? --gpu names one; --kv-gib says how much memory the cache has instead", f"GPUs: {', '.join(catalog.gpus())}")
    if not ask.checkpoint.loaded:
        raise UserError(f"{model.title} is not in the catalogue, so the size of its weights is not known", "Say what is left for the cache: --kv-gib.")
    if ask.utilization:
        return Plan(ask)
    usual = Plan(replace(ask, utilization=UTILIZATION))
    enough = usual.fits and (ask.concurrent_chats or usual.concurrent_chats >= 4)
    return usual if enough or ask.tensor_parallel > 1 else Plan(replace(ask, utilization=TIGHT))


def refuses_fp8(model: Model, gpu: Gpu) -> str:
    """Why vLLM cannot keep this model's cache in fp8 on that GPU; empty if it can."""
    usable = _backends(model, gpu)
    if usable & set(gpu.fp8Kv):
        return ""
    return f"its attention runs on {' or '.join(sorted(usable))} there, which takes fp8 from compute capability 8.9 on"


def _backends(model: Model, gpu: Gpu) -> set[str]:
    """vLLM's attention backends for a model. Source: their ``validate`` functions in vllm/v1/attention/backends, and Gemma4Config in
    vllm/model_executor/models/config.py."""
    architecture, hopper = model.architecture, gpu.family == "hopper"
    if architecture.sinks:
        return {"FLASH_ATTN", "FLASHINFER"} if hopper else {"FLASHINFER", "TRITON_ATTN"} if gpu.family == "blackwell" else {"TRITON_ATTN"}
    if len({kind.head_dim for kind in architecture.attention}) > 1:
        return {"FLASH_ATTN", "TRITON_ATTN"} if hopper else {"TRITON_ATTN"}
    if len({kind.window for kind in architecture.attention}) > 1:
        # FlashInfer plans for one window.
        return {"FLASH_ATTN", "TRITON_ATTN"}
    return {"FLASH_ATTN", "FLASHINFER", "TRITON_ATTN"}


def changes(short: Plan) -> list[tuple[str, Plan]]:
    """The nearest changes of what was asked that would fit, each with its plan."""
    found: list[tuple[str, Plan]] = []
    # A share that the planner chose it chooses again.
    ask = short.ask if short.ask.utilization not in (UTILIZATION, TIGHT) else replace(short.ask, utilization=None)

    def consider(text: str, **change: object) -> bool:
        try:
            other = plan(replace(ask, **change))
        except UserError:
            return False
        if other.fits:
            found.append((text.format(chats=chats(other.concurrent_chats)), other))
        return other.fits

    if ask.kv_gib is not None or ask.gpu is None:
        if short.longest >= 1024:
            consider(f"--context {short.longest}", context=short.longest)
        return found
    if ask.concurrent_chats and ask.concurrent_chats > 1 and short.concurrent_chats:
        consider(f"--concurrent-chats {short.concurrent_chats}", concurrent_chats=short.concurrent_chats)
    if short.longest >= 1024 and short.longest < ask.context:
        consider(f"--context {short.longest}", context=short.longest)
    if ask.kv_dtype == "auto" and not refuses_fp8(ask.model, ask.gpu):
        consider("--kv-dtype fp8 ({chats})", kv_dtype="fp8")
    for checkpoint in ask.model.checkpoints:
        if checkpoint.loaded < ask.checkpoint.loaded and consider(f"{checkpoint.id} ({checkpoint.quantization}; {{chats}})", checkpoint=checkpoint):
            break
    for number in (2, 4, 8):
        if number > ask.tensor_parallel and consider(f"--gpus {number} ({{chats}})", tensor_parallel=number):
            break
    for gpu in sorted(catalog.gpus().values(), key=lambda item: item.memory):
        if gpu.memory > ask.gpu.memory and consider(f"--gpu {gpu.name} ({{chats}})", gpu=gpu):
            break
    return found


def ranking(gpu: Gpu, tensor_parallel: int, context: int | None, concurrent_chats: int | None) -> list[tuple[Model, Plan | UserError]]:
    """Every model on such GPUs, each with the checkpoint that the catalogue prefers of those that fit: what fits first, the larger model
    first, then what is least short. A model with a shorter context than asked for is asked for its longest."""
    rows = []
    for model in catalog.models().values():
        asked = min(context or CONTEXT, model.longest)
        answers = []
        for checkpoint in model.checkpoints:
            try:
                answers.append(plan(PlanRequest(model, checkpoint, gpu, tensor_parallel, asked, concurrent_chats)))
            except UserError as error:
                answers.append(error)
        plans = [answer for answer in answers if isinstance(answer, Plan)]
        rows.append((model, next((answer for answer in plans if answer.fits), plans[0] if plans else answers[0])))
    return sorted(rows, key=lambda row: (isinstance(row[1], UserError), getattr(row[1], "shortfall_gib", 0), -row[0].parameters))
