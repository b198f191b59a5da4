"""Draw how many chats fit at the same time, for each context and GPU."""

import io
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.planning import catalog, lookup
from scout_chat.planning.planner import UTILIZATION, Plan, PlanRequest, plan
from scout_chat.planning.report import contexts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The picture of docs/explain/planner.md: `scout-chat plan gpt-oss-120b --gpu a100-80 --picture docs/explain/plan.svg --force`.
DOCUMENTED = ("gpt-oss-120b", "a100-80")


def save(request: PlanRequest, path: Path) -> None:
    """Write a picture in the format of the path's suffix: a line for each GPU that fits the model, the requested one bold.

    Raises UserError if the file cannot be written or no GPU of the catalog fits the model.
    """
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written: there is no folder {path.parent}", "Create the folder, or choose another path.")
    try:
        path.write_bytes(render(request, path.suffix.removeprefix(".") or "png"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {error}") from None


def render(request: PlanRequest, file_format: str) -> bytes:
    """Return the picture as a file of this format, for example svg or png. Raises ValueError for a format that matplotlib does not have."""
    import matplotlib

    # With fixed ids and without a date, the same plan gives the same SVG. Its text stays text.
    with matplotlib.rc_context({"svg.hashsalt": "scout-chat", "svg.fonttype": "none", "font.size": 10}):
        file = io.BytesIO()
        _draw(request).savefig(file, format=file_format, bbox_inches="tight", metadata={"Date": None} if file_format == "svg" else None)
    return file.getvalue()


def _draw(request: PlanRequest) -> "Figure":
    from cycler import cycler
    from matplotlib import rcParams
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter

    # Every GPU has the same utilization: otherwise the picture would compare utilizations.
    utilization = plan(replace(request, kv_gib=None)).request.utilization if request.gpu else request.utilization or UTILIZATION
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    # matplotlib has ten colors. Further GPUs have them again, dashed.
    axes.set_prop_cycle(cycler(linestyle=["-", "--"]) * rcParams["axes.prop_cycle"])
    columns = contexts(request.model)
    for gpu in sorted(catalog.gpus().values(), key=lambda item: item.memory):
        try:
            chosen = plan(replace(request, gpu=gpu, concurrent_chats=None, kv_gib=None, utilization=utilization))
        except UserError:
            continue
        plans = [Plan(replace(chosen.request, context=context)) for context in columns]
        points = [each.max_concurrency if each.starts else float("nan") for each in plans]
        if any(each.starts for each in plans):
            requested = request.gpu and gpu.name == request.gpu.name
            axes.plot(columns, points, marker="o", markersize=4, linewidth=3 if requested else 1.5, label=gpu.title.removeprefix("NVIDIA "))
    if not axes.lines:
        raise UserError(f"{request.model.title} fits no GPU of the catalog with --gpus {request.tensor_parallel}", "Use more GPUs, or another model.")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(columns, [f"{context // 1024}K" for context in columns])
    axes.yaxis.set_major_formatter(FormatStrFormatter("%d"))
    axes.axvline(min(request.context, request.model.longest), color="gray", linewidth=0.8, linestyle=":")
    gpus = f"{request.tensor_parallel} GPU{'s' * (request.tensor_parallel > 1)}"
    axes.set(
        xlabel="context (tokens)",
        ylabel="concurrent chats",
        title=f"{request.model.title} ({request.checkpoint.quantization}) on {gpus}, utilization {utilization}",
    )
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    # Beside the lines, because up to thirteen names would cover them.
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@cache
def generated_files() -> dict[Path, str]:
    """Return the picture that docs/explain/planner.md shows. A process draws it once: it depends on the catalog alone."""
    model, gpu = DOCUMENTED
    found, checkpoint = lookup.find_model(model)
    request = PlanRequest(found, checkpoint, lookup.find_gpu(gpu))
    return {ROOT / "docs" / "explain" / "plan.svg": render(request, "svg").decode()}
