"""The report on a terminal: what would not work first, then what an install would take and do."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from scout_chat.check.engine import GPU
from scout_chat.check.fit import Fit
from scout_chat.check.report import Finding, JudgedEngine, Report
from scout_chat.review.summary import cut

NOT_SET = "not set"


def terminal_text(report: Report) -> Text:
    """Return the report with colors, which rich shows where the terminal has them."""
    text = Text().append(f"{' + '.join(report.files)}\n", "bold")
    problems, warnings = ([finding for finding in report.findings if finding.fails is fails] for fails in (True, False))
    counted = f"{len(problems) or 'No'} problem{'s' * (len(problems) != 1)}" + (f", {len(warnings)} warning{'s' * (len(warnings) != 1)}" if warnings else "")
    text.append(f"{counted}\n", "green" if report.good else "red")
    for finding in report.findings:
        _add_finding(text, finding)
    if report.refused:
        text.append("\nNothing else can be checked before the chart accepts the values.\n")
    elif not report.engines:
        text.append(f"\nNo engines: global.llm.mode is {report.mode}.\n")
    for judged in report.engines:
        text.append(f"\n{_headline(judged)}\n", "bold")
        for line, style in _engine_lines(judged):
            text.append(f"  {line}\n", style)
    for title, rows in _sections(report):
        if rows:
            text.append(f"\n{title}\n", "bold")
            text.append("".join(f"  {line}\n" for line in _columns(rows)))
    if report.comparison and not report.comparison.changes:
        text.append(f"\nThe same as values/{report.comparison.preset}.yaml\n")
    text.rstrip()
    return text


def _add_finding(text: Text, finding: Finding) -> None:
    text.append("\n✗ " if finding.fails else "\n! ", "bold red" if finding.fails else "bold yellow")
    text.append(f"{finding.subject}: ", "bold").append(f"{finding.message}\n".replace("\n- ", "\n  - "))
    if finding.hint:
        text.append(f"  {finding.hint}\n")


def _headline(judged: JudgedEngine) -> str:
    engine = judged.engine
    devices = [f"{number} GPU{'s' * (number != '1')}" if name == GPU else f"{number} {name}" for name, number in engine.devices.items()]
    replicas = f", {engine.replicas} replicas" if engine.replicas != 1 else ""
    return f"Engine {engine.name}: {engine.model_url}, vLLM {engine.command.release or 'of an unknown release'}, {', '.join(devices) or 'no GPU'}{replicas}"


def _engine_lines(judged: JudgedEngine) -> Iterator[tuple[str, str]]:
    """Yield a line for each GPU, and what else decides where the pods run, each with its style."""
    where, plans = judged.placement, [item.plan for item in judged.fits if item.plan]
    if plans:
        weights = "  weights  reserve" if where else ""
        yield f"{'GiB of each GPU' if where else 'GiB':<30}{weights}  KV cache  chats of {plans[0].request.context} tokens", "dim"
    for item in judged.fits:
        yield _fit_line(item), "red" if item.reason else ""
    if where and judged.unplanned:
        yield f"may run on {', '.join(gpu.title for gpu in where.gpus) or 'no GPU of the catalog'}", ""
    if where and where.unlabelled and not judged.chosen:
        yield "nodes without GPU labels        may run there; not known whether it fits", ""
    if where and where.conditions:
        yield f"only on nodes with {'; '.join(where.conditions)}", ""
    if limits := [plan.max_num_seqs for plan in plans if plan.concurrent_chats > plan.max_num_seqs]:
        yield f"at most {min(limits)} chats at the same time: --max-num-seqs", ""


def _fit_line(item: Fit) -> str:
    memory = item.plan.memory if item.plan else None
    weights = f"  {memory.weights_gib:>7.1f}  {memory.reserve_gib:>7.1f}" if memory else "" if item.plan else " " * 18
    cache = f"{max(0.0, item.plan.kv_gib):.1f}" if item.plan else ""
    return f"{item.gpu.title if item.gpu else 'CPU':<30}{weights}  {cache:>8}  {'would not start' if item.reason else item.chats}"


def _sections(report: Report) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each list of the report: its title, and its rows of cells."""
    yield "Images to pull", [[image] for image in report.images or {}]
    yield (
        "Volumes to create (PVC, size, StorageClass, access, at helm uninstall)",
        [
            [volume.name, volume.size, volume.storage_class or "the default", ", ".join(volume.access_modes), "kept" if volume.kept else "deleted"]
            for volume in report.volumes
        ],
    )
    yield (
        "Must exist before the install",
        [[required.kind, required.name + (f" (key {', '.join(required.keys)})" if required.keys else "")] for required in report.requirements],
    )
    if report.comparison:
        changed = [
            [f"{change.path}: {NOT_SET if change.old is None else _line(change.old)} → {NOT_SET if change.new is None else _line(change.new)}"]
            for change in report.comparison.changes
        ]
        yield f"Differs from values/{report.comparison.preset}.yaml", changed


def _line(value: str) -> str:
    return cut(" ".join(value.split()), 100)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows with their cells one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
