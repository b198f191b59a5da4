"""Compare the planner's figures with those of an engine, or with start-up logs that others published: ``scout-chat calibrate``."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.table import Column, Table

from scout_chat.core.errors import UserError
from scout_chat.planning import engine_figures, lookup, options, reference_logs
from scout_chat.planning.catalog import Gpu
from scout_chat.planning.engine_figures import EngineFigures
from scout_chat.planning.kv_cache import GIB
from scout_chat.planning.planner import BATCHED_TOKENS, CONTEXT, Plan, PlanRequest, plan


class Figure(NamedTuple):
    """One figure by name: the planner's, and the engine's (None if the engine does not report it)."""

    name: str
    planned: float
    reported: float | None


@dataclass(frozen=True)
class Comparison:
    """Figures with a title, which is empty for the published logs."""

    title: str
    figures: list[Figure]

    def table(self) -> Table:
        """Return the figures with the planner's error in percent, for a terminal."""
        table = Table("figure", Column("planner", justify="right"), Column("engine", justify="right"), Column("error", justify="right"), box=None)
        for name, planned, reported in self.figures:
            digits = 0 if isinstance(planned, int) else 2
            error = f"{100 * (planned / reported - 1):+.2f} %" if reported else ""
            table.add_row(name, f"{planned:,.{digits}f}", "not reported" if reported is None else f"{reported:,.{digits}f}", error)
        return table


def compare(
    source: str | None, published: bool = False, *, model: str = "", gpu: str = "", gpus: int = 1, max_num_batched_tokens: int = BATCHED_TOKENS
) -> Comparison:
    """Compare with the engine of ``source`` (a log, ``-`` or an address; see ``engine_figures.read``), or with the published logs.

    The other options are for what the engine does not report. Raises UserError if both or neither are given, if the engine cannot be read,
    and if its model is not in the catalog.
    """
    if published == bool(source):
        raise UserError("calibrate needs one of a log, an engine's address, and --published", engine_figures.HOW)
    if not source:
        return Comparison("", [Figure(f"{log.what} ({log.gives})", log.predicted(), log.published) for log in reference_logs.logs()])
    engine = engine_figures.read(source)
    card, device = options.device(gpu)
    request = plan_request(engine, model, card, device, gpus, max_num_batched_tokens)
    release = f"vLLM {engine.version}" if engine.version else "vLLM of an unknown release"
    title = f"{request.model.title}, {request.context} tokens, {request.kv_gib:.2f} GiB of KV cache, {release}"
    return Comparison(title, figures(engine, request))


def plan_request(
    engine: EngineFigures, model: str = "", gpu: Gpu | None = None, device: str = "cuda", tensor_parallel: int = 1, max_num_batched_tokens: int = BATCHED_TOKENS
) -> PlanRequest:
    """Return the planning request whose plan should equal the engine's figures.

    ``model``, ``tensor_parallel`` and ``max_num_batched_tokens`` are for an engine that does not report them. Raises UserError if the
    catalog does not have the model, or the engine does not report the memory of its cache.
    """
    if not engine.kv_gib and not engine.num_blocks:
        raise UserError(f"{engine.source} does not report the memory of its KV cache, so there is nothing to compare", engine_figures.HOW)
    found, checkpoint = lookup.find_model(model or (engine.model or "").removeprefix("/weights/") or engine.served_as or "")
    request = PlanRequest(
        found,
        checkpoint,
        gpu,
        engine.tensor_parallel_size or tensor_parallel,
        engine.max_model_len or CONTEXT,
        kv_dtype="fp8" if (engine.kv_dtype or "").startswith("fp8") else "auto",
        max_num_batched_tokens=engine.max_num_batched_tokens or max_num_batched_tokens,
        max_num_seqs=engine.max_num_seqs,
        device=device,
    )
    bytes_per_block = Plan(request).cache.bytes_per_block
    return replace(request, kv_gib=engine.kv_gib or (engine.num_blocks or 0) * bytes_per_block / GIB)


def figures(engine: EngineFigures, request: PlanRequest) -> list[Figure]:
    """Return the figures of the plan beside those of the engine.

    The planner computes the cache's figures from the GiB that the engine reports for it; a log has them in hundredths. With a GPU in the
    request, the estimates follow: the weights, and the memory that they leave for the cache.
    """
    exact = plan(request)
    rows = [
        Figure("blocks", exact.kv_blocks, engine.num_blocks),
        Figure("tokens of a block", exact.cache.block_size, engine.block_size),
        Figure("tokens", int(exact.max_concurrency * request.context), engine.kv_cache_tokens),
        Figure("requests of the longest context", exact.max_concurrency, engine.max_concurrency),
    ]
    if request.gpu:
        estimate = plan(replace(request, kv_gib=None, utilization=engine.gpu_memory_utilization))
        if estimate.memory:
            rows.append(Figure("GiB of weights", estimate.memory.weights_gib, engine.load_gib))
        rows.append(Figure("GiB for the cache", estimate.kv_gib, engine.kv_gib))
    return rows
