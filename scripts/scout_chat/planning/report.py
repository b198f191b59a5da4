"""Show a plan: as text, as a table of the catalog, as JSON."""

from dataclasses import replace
from typing import Any

from rich.table import Table

from scout_chat.core.errors import UserError
from scout_chat.planning.advice import Ranked, alternatives, chats, explain
from scout_chat.planning.catalog import Model
from scout_chat.planning.planner import Plan

# Tokens of context that a report shows, as far as the model supports them.
CONTEXTS = (4096, 8192, 16384, 32768, 65536, 131072, 262144)


def contexts(model: Model) -> list[int]:
    """Return the contexts that a report of this model shows, in tokens."""
    return [context for context in CONTEXTS if context <= model.longest] or [model.longest]


def text(plan: Plan) -> str:
    """Return the request, how the memory is divided, how many chats fit, and the model's known issues."""
    request, cache, memory = plan.request, plan.cache, plan.memory
    each = " of each GPU" if request.tensor_parallel > 1 else ""
    lines = [_heading(plan), ""]
    if memory and request.gpu:
        lines += [
            f"  vLLM may use     {memory.usable_gib:8.2f} GiB  {request.utilization} of {request.gpu.cudaGib}{each}",
            f"  weights          {memory.weights_gib:8.2f} GiB",
            f"  reserve          {memory.reserve_gib:8.2f} GiB  CUDA, activations, graphs",
        ]
    blocks = f"{plan.kv_blocks} blocks of {cache.bytes_per_block} bytes{each}" if plan.kv_gib > 0 else "does not fit"
    by_context = [(context, Plan(replace(request, context=context)).concurrent_chats) for context in contexts(request.model)]
    lines += [
        f"  KV cache         {max(0.0, plan.kv_gib):8.2f} GiB  {blocks}",
        f"  one chat         {plan.request_gib:8.2f} GiB  {request.context} tokens, {cache.blocks_per_request(request.context)} blocks",
        f"  chats at once    {max(0.0, plan.max_concurrency):8.2f}      of {request.context} tokens; further chats wait",
        "",
        "  context  " + "".join(f"{context:>9}" for context, _ in by_context),
        "  chats    " + "".join(f"{fitting:>9}" for _, fitting in by_context),
        "",
        _verdict(plan, each),
    ]
    for known in request.model.issues(request.checkpoint):
        avoid = f". Values that avoid it: {known.workaround}" if known.workaround else ""
        lines.append(f"Known issue: {known.issue}{avoid} ({known.source})")
    return "\n".join(lines)


def _heading(plan: Plan) -> str:
    request, checkpoint = plan.request, plan.request.checkpoint
    if request.gpu:
        where = f"{request.tensor_parallel} x {request.gpu.title}"
    else:
        where = "CPU" if request.device == "cpu" else f"tensor parallel {request.tensor_parallel}"
    quantization = f" ({checkpoint.id}, {checkpoint.quantization})" if checkpoint.quantization else ""
    return f"{request.model.title}{quantization} on {where}"


def _verdict(plan: Plan, each: str) -> str:
    request = plan.request
    if plan.fits:
        arguments = f"--max-model-len {request.context} --max-num-seqs {plan.max_num_seqs} --max-num-batched-tokens {request.max_num_batched_tokens}"
        return f"It fits: {arguments}, KV cache {request.kv_dtype}."
    found = "".join(f"\n  {other.change}" for other in alternatives(plan)) or "\n  no single change of the request"
    return f"It does not fit ({plan.bottleneck}): {explain(plan)}. {plan.shortfall_gib:.2f} GiB{each} are missing. What would fit:{found}"


def ranking(rows: list[Ranked], concurrent_chats: int | None) -> Table:
    """Return a table of every model of the catalog on one GPU type."""
    table = Table("model", "weights", "GiB", "context", "cache GiB", "chats", "longest", "verdict", box=None)
    for model, answer in rows:
        if isinstance(answer, UserError):
            table.add_row(model.name, "", "", "", "", "", "", str(answer))
            continue
        verdict = "fits" if answer.fits else f"{answer.bottleneck}: {answer.shortfall_gib:.1f} GiB short"
        table.add_row(
            model.name,
            answer.request.checkpoint.quantization,
            f"{answer.memory.weights_gib:.1f}" if answer.memory else "",
            str(answer.request.context),
            f"{answer.kv_gib:.1f}",
            str(answer.concurrent_chats),
            str(answer.longest or "-"),
            verdict,
        )
    table.caption = f"longest: the longest context for {chats(concurrent_chats or 1)} at the same time"
    return table


def ranking_as_json(rows: list[Ranked]) -> list[dict[str, Any]]:
    """Return the ranking for programs. A model without a plan has its error instead."""
    return [{"model": model.name, "error": str(answer)} if isinstance(answer, UserError) else as_json(answer) for model, answer in rows]


def as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan for programs: sizes in GiB of each GPU, contexts in tokens."""
    request, memory = plan.request, plan.memory
    return {
        "model": request.model.name,
        "checkpoint": request.checkpoint.id,
        "gpu": request.gpu.name if request.gpu else None,
        "tensor_parallel": request.tensor_parallel,
        "context": request.context,
        "concurrent_chats": request.concurrent_chats,
        "kv_dtype": request.kv_dtype,
        "max_num_batched_tokens": request.max_num_batched_tokens,
        "max_num_seqs": plan.max_num_seqs,
        "gpu_memory_utilization": request.utilization,
        "usable_gib": round(memory.usable_gib, 2) if memory else None,
        "weights_gib": round(memory.weights_gib, 2) if memory else None,
        "reserve_gib": round(memory.reserve_gib, 2) if memory else None,
        "kv_gib": round(plan.kv_gib, 4),
        "block_size": plan.cache.block_size,
        "bytes_per_block": plan.cache.bytes_per_block,
        "blocks_per_request": plan.cache.blocks_per_request(request.context),
        "kv_blocks": plan.kv_blocks,
        "max_concurrency": plan.max_concurrency,
        "kv_cache_tokens": int(plan.max_concurrency * request.context),
        "fits": plan.fits,
        "bottleneck": plan.bottleneck or None,
        "why": explain(plan),
        "shortfall_gib": round(plan.shortfall_gib, 2),
        "changes": [] if plan.fits else [other.change for other in alternatives(plan)],
    }
