"""Whether an engine fits on a GPU, by the planner and by the arguments with which the chart renders it."""

from collections.abc import Iterator
from dataclasses import dataclass

from scout_chat.check.engine import GPU, Engine
from scout_chat.core.errors import UserError
from scout_chat.planning.advice import Alternative, alternatives, chats, explain
from scout_chat.planning.catalog import Gpu
from scout_chat.planning.planner import CONTEXT, GPU_COUNTS, UTILIZATION, Plan, PlanRequest, plan

# vLLM's --kv-cache-dtype that the planner knows, by its own names.
KV_DTYPES = {"auto": "auto", "bfloat16": "auto", "float16": "auto", "fp8": "fp8", "fp8_e4m3": "fp8"}
# Arguments that change how memory is used, in a way that the planner does not compute. A size of 1 and the value auto are defaults.
NOT_PLANNED = (
    "block_size",
    "config",
    "cpu_offload_gb",
    "data_parallel_size",
    "decode_context_parallel_size",
    "disable_hybrid_kv_cache_manager",
    "enable_lora",
    "gdn_prefill_backend",
    "hf_overrides",
    "kv_cache_dtype_skip_layers",
    "kv_cache_memory_bytes",
    "kv_transfer_config",
    "mamba_block_size",
    "mamba_cache_dtype",
    "mamba_cache_mode",
    "mamba_ssm_cache_dtype",
    "num_gpu_blocks_override",
    "offload_backend",
    "pipeline_parallel_size",
    "prefill_context_parallel_size",
    "quantization",
    "speculative_config",
)
# The planner's options in its messages, and vLLM's names for them.
IN_VLLM = {"--context": "--max-model-len", "--gpus": "--tensor-parallel-size", "--kv-dtype": "--kv-cache-dtype", "--utilization": "--gpu-memory-utilization"}


@dataclass(frozen=True)
class Fit:
    """An engine on a GPU of the catalog, or on a CPU (``gpu`` None). ``reason``: why it would not start; empty if it would."""

    gpu: Gpu | None
    plan: Plan | None = None
    reason: str = ""
    hint: str = ""

    @property
    def chats(self) -> int:
        """Chats of a full context that fit in the cache at the same time."""
        return self.plan.concurrent_chats if self.plan and not self.reason else 0


def unplanned(engine: Engine) -> str:
    """Return why the planner cannot judge the engine; empty if it can."""
    values = engine.values
    if not values:
        return "its arguments cannot be read"
    if not engine.model:
        return f"{engine.model_url} is not in the catalog (schema/catalog/models)"
    if others := [name for name in engine.devices if name != GPU]:
        return f"it requests {others[0]}, and the planner knows only whole GPUs of NVIDIA ({GPU})"
    if not engine.devices and not engine.env.get("VLLM_CPU_KVCACHE_SPACE", "").isdecimal():
        return "it runs on CPUs, and the variable VLLM_CPU_KVCACHE_SPACE does not set the GiB of its KV cache"
    quantization = engine.model[1].quantization
    given = [name for name in NOT_PLANNED if name in values and str(values[name]) not in ("1", "auto", quantization)]
    given += ["max_model_len"] if values.get("max_model_len") == -1 else []
    given += ["dtype"] if values.get("dtype") in ("float", "float32") else []
    given += ["kv_cache_dtype"] if values.get("kv_cache_dtype", "auto") not in KV_DTYPES else []
    return f"the planner does not compute --{given[0].replace('_', '-')} {values[given[0]]}" if given else ""


def fit(engine: Engine, gpu: Gpu | None, prefix: str) -> Fit:
    """Plan an engine that ``unplanned`` lets pass. ``prefix``: the path of the engine's settings in the values, ``engine`` or ``engines.<name>``."""
    try:
        answer = plan(_request(engine, gpu))
    except UserError as error:
        return Fit(gpu, None, _in_vllms_words(str(error)), _in_vllms_words(error.hint))
    if not answer.fits:
        return Fit(gpu, answer, explain(answer), _changes(answer, prefix))
    if answer.request.model.architecture.states and answer.max_num_seqs > answer.kv_blocks:
        reason = f"--max-num-seqs is {answer.max_num_seqs}, but the KV cache has {answer.kv_blocks} blocks, and each sequence needs one for its state"
        return Fit(gpu, answer, reason, f"Set {prefix}.maxNumSeqs: {answer.kv_blocks} or less.")
    return Fit(gpu, answer)


def preset_command(engine: Engine, gpu: Gpu) -> str:
    """Return the command that writes a values file for the engine's model on this GPU, with the engine's number of GPUs or the next that fits.

    Empty if no number fits, or the model is not in the catalog.
    """
    if not engine.model:
        return ""
    model, checkpoint = engine.model
    same = int(engine.devices.get(GPU, "1"))
    for gpus in (same, *(number for number in GPU_COUNTS if number > same)):
        try:
            fits = plan(PlanRequest(model, checkpoint, gpu, gpus, min(CONTEXT, model.longest))).fits
        except UserError:
            continue
        if fits:
            name = model.name if checkpoint == model.checkpoints[0] else checkpoint.id
            token = " --token-secret NAME" if checkpoint.gated else ""
            return f"scout-chat preset {name} --gpu {gpu.name}{f' --gpus {gpus}' if gpus > 1 else ''}{token}"
    return ""


def _request(engine: Engine, gpu: Gpu | None) -> PlanRequest:
    assert engine.model
    (model, checkpoint), values = engine.model, engine.values
    tensor_parallel = _number(values, "tensor_parallel_size", 1)
    sequences, tokens = _batch_defaults(gpu, tensor_parallel)
    return PlanRequest(
        model,
        checkpoint,
        gpu,
        tensor_parallel,
        context=_number(values, "max_model_len", model.architecture.context),
        kv_dtype=KV_DTYPES[str(values.get("kv_cache_dtype", "auto"))],
        max_num_batched_tokens=_number(values, "max_num_batched_tokens", tokens),
        max_num_seqs=_number(values, "max_num_seqs", sequences),
        utilization=float(str(values.get("gpu_memory_utilization", UTILIZATION))) if gpu else None,
        kv_gib=None if gpu else float(engine.env["VLLM_CPU_KVCACHE_SPACE"]),
        device="cuda" if gpu else "cpu",
    )


def _number(values: dict[str, object], name: str, default: int) -> int:
    return int(str(values.get(name, default)))


def _batch_defaults(gpu: Gpu | None, tensor_parallel: int) -> tuple[int, int]:
    """Return vLLM's defaults for --max-num-seqs and --max-num-batched-tokens.

    Source: ``EngineArgs.get_batch_defaults`` in vllm/engine/arg_utils.py (vLLM 0.33), for its API server.
    """
    if gpu is None:
        return 128 * tensor_parallel, 2048 * tensor_parallel
    if gpu.cudaGib >= 160:
        return 1024, 16384
    if gpu.cudaGib >= 70 and not gpu.name.startswith("a100"):
        return 1024, 8192
    return 256, 2048


def _in_vllms_words(text: str) -> str:
    for ours, theirs in IN_VLLM.items():
        text = text.replace(f"{ours} ", f"{theirs} ")
    return text


def _changes(answer: Plan, prefix: str) -> str:
    """Return the nearest changes of the values that would fit, as a sentence."""
    found = [f"{', '.join(_settings(answer, other, prefix))} ({chats(other.plan.concurrent_chats)})" for other in alternatives(answer)]
    return f"Would fit: {'; '.join(found)}." if found else "No single change would fit."


def _settings(answer: Plan, other: Alternative, prefix: str) -> Iterator[str]:
    """Yield what the alternative changes, as values of the chart."""
    before, after = answer.request, other.plan.request
    if after.checkpoint != before.checkpoint:
        yield f"the weights {after.checkpoint.id} ({after.checkpoint.quantization})"
    if after.gpu and after.gpu != before.gpu:
        yield f"on {after.gpu.title}"
    for key, old, new in (
        ("maxModelLen", before.context, after.context),
        ("kvCacheDtype", before.kv_dtype, after.kv_dtype),
        ("tensorParallelSize", before.tensor_parallel, after.tensor_parallel),
        ("gpuMemoryUtilization", before.utilization, after.utilization),
    ):
        if old != new:
            yield f"{prefix}.{key}: {new}"
