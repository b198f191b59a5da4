"""A plan as a person reads it: text for the terminal, and a picture of concurrent chats against context."""

from dataclasses import replace
from pathlib import Path

from rich.table import Table

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Model
from scout_chat.planning.planner import CONTEXT, UTILIZATION, Plan, PlanRequest, changes, plan

CONTEXTS = (4096, 8192, 16384, 32768, 65536, 131072, 262144)


def text(answer: Plan) -> str:
    """What was asked, where the memory goes, how many chats fit, and what is known to go wrong."""
    ask, cache = answer.ask, answer.cache
    each = " of each GPU" if ask.tensor_parallel > 1 else ""
    where = f"{ask.tensor_parallel} x {ask.gpu.title}" if ask.gpu else "CPU" if ask.device == "cpu" else f"tensor parallel {ask.tensor_parallel}"
    quantization = f" ({ask.checkpoint.id}, {ask.checkpoint.quantization})" if ask.checkpoint.quantization else ""
    lines = [f"{ask.model.title}{quantization} on {where}", ""]
    if ask.kv_gib is None:
        lines += [
            f"  vLLM may use     {answer.usable_gib:8.2f} GiB  {ask.utilization} of {ask.gpu.cudaGib}{each}",
            f"  weights          {answer.weights_gib:8.2f} GiB",
            f"  reserve          {answer.reserve_gib:8.2f} GiB  CUDA, activations, graphs",
        ]
    lines += [
        f"  cache            {answer.kv_gib:8.2f} GiB  {answer.kv_blocks} blocks of {cache.bytes_per_block} bytes{each}",
        f"  one chat         {answer.request_gib:8.2f} GiB  {ask.context} tokens, {cache.blocks_per_request(ask.context)} blocks",
        f"  chats at once    {max(0.0, answer.max_concurrency):8.2f}      of {ask.context} tokens; more wait for their turn",
        "",
        "  context  " + "".join(f"{context:>9}" for context in _contexts(ask.model)),
        "  chats    " + "".join(f"{_chats(answer, context):>9}" for context in _contexts(ask.model)),
        "",
    ]
    if answer.fits:
        arguments = f"--max-model-len {ask.context} --max-num-seqs {answer.max_num_seqs} --max-num-batched-tokens {ask.max_num_batched_tokens}"
        lines.append(f"It fits: {arguments}, cache {ask.kv_dtype}.")
    else:
        found = "".join(f"\n  {line}" for line, _ in changes(answer)) or "\n  nothing near to it"
        lines.append(f"It does not fit ({answer.bottleneck}): {answer.why()}. {answer.shortfall_gib:.2f} GiB{each} are missing. What would fit:{found}")
    lines += [f"Known: {known.issue} ({known.source})" for known in ask.model.knownIssues]
    return "\n".join(lines)


def _contexts(model: Model) -> list[int]:
    return [context for context in CONTEXTS if context <= model.longest] or [model.longest]


def _chats(answer: Plan, context: int) -> int:
    return Plan(replace(answer.ask, context=context)).concurrent_chats


def ranking(rows: list[tuple[Model, Plan | UserError]], concurrent_chats: int | None) -> Table:
    """The whole catalogue on one GPU."""
    table = Table("model", "weights", "GiB", "context", "cache GiB", "chats", "longest", "verdict", box=None)
    for model, answer in rows:
        if isinstance(answer, UserError):
            table.add_row(model.name, "", "", "", "", "", "", str(answer))
            continue
        ask = answer.ask
        verdict = "fits" if answer.fits else f"{answer.bottleneck}: {answer.shortfall_gib:.1f} GiB short"
        numbers = (f"{answer.weights_gib:.1f}", str(ask.context), f"{answer.kv_gib:.1f}", str(answer.concurrent_chats), str(answer.longest or "-"))
        table.add_row(model.name, ask.checkpoint.quantization, *numbers, verdict)
    table.caption = f"longest: the context with which {concurrent_chats or 1} chats fit at once"
    return table


def picture(ask: PlanRequest, path: Path) -> None:
    """Writes an SVG (or what the suffix says): chats at once against context, a line for each GPU that takes the model.

    Raises UserError where the file cannot be written, or no GPU takes the model.
    """
    import matplotlib

    matplotlib.use("Agg")
    # The same file for the same plan.
    matplotlib.rcParams |= {"svg.hashsalt": "scout-chat", "svg.fonttype": "none", "font.size": 10}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    contexts = _contexts(ask.model)
    share = plan(replace(ask, kv_gib=None)).ask.utilization if ask.gpu else ask.utilization or UTILIZATION
    for gpu in sorted(catalog.gpus().values(), key=lambda item: item.memory):
        try:
            # One share of the GPU for all of the picture, or it would compare shares.
            chosen = plan(replace(ask, gpu=gpu, concurrent_chats=None, kv_gib=None, utilization=share))
        except UserError:
            continue
        plans = [Plan(replace(chosen.ask, context=context)) for context in contexts]
        points = [each.max_concurrency if each.starts else None for each in plans]
        if any(points):
            named = ask.gpu and gpu.name == ask.gpu.name
            axes.plot(contexts, points, marker="o", markersize=4, linewidth=3 if named else 1.5, label=gpu.title.removeprefix("NVIDIA "))
    if not axes.lines:
        raise UserError(f"no GPU of the catalogue takes {ask.model.title} on {ask.tensor_parallel}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(contexts, [f"{context // 1024}K" for context in contexts])
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%d"))
    axes.axvline(min(ask.context or CONTEXT, ask.model.longest), color="gray", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="tokens of context",
        ylabel="chats at once",
        title=f"{ask.model.title} ({ask.checkpoint.quantization}) on {ask.tensor_parallel} GPU{'s' * (ask.tensor_parallel > 1)}, share {share}",
    )
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)
    try:
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {error}") from None
    finally:
        pyplot.close(figure)
