"""What every format of a report shares: its headline and notices, and each change as lines of text."""

import difflib
import re
from collections.abc import Iterator

from scout_chat.review.report import Change, Report

NOTHING_CHANGES = "nothing changes on the cluster"
# Characters of a line. A longer value is cut around the part that differs; only the page shows it whole.
WIDTH = 120


def compared(report: Report) -> str:
    """Return how many scenarios were compared."""
    return f"{len(report.scenarios)} scenario{'' if len(report.scenarios) == 1 else 's'} compared"


def notices(report: Report) -> Iterator[str]:
    """Yield what could not be compared, one line each."""
    if report.added:
        yield f"only in {report.new}: {', '.join(report.added)}"
    if report.removed:
        yield f"only in {report.old}: {', '.join(report.removed)}"
    for refusal in report.refusals:
        # A refusal of the new side alone is a change, and is among the changes.
        if refusal.side == "old":
            yield f"{refusal.scenario} renders now; {report.old} refused it: {refusal.message}"
        elif refusal.side == "both sides":
            yield f"{refusal.scenario} is refused by both sides: {refusal.message}"


def scenario_list(report: Report, scenarios: tuple[str, ...], most: int) -> str:
    """Return the names of at most ``most`` scenarios, or that it is all of them."""
    if scenarios == report.scenarios and len(scenarios) > 1:
        return f"all {len(scenarios)} scenarios"
    return ", ".join(scenarios[:most]) + (f" and {len(scenarios) - most} more" if len(scenarios) > most else "")


def change_lines(change: Change, most: int, width: int = WIDTH) -> Iterator[tuple[str, str]]:
    """Yield the change as (sign, text), at most ``most`` lines of values.

    The sign ``-`` or ``+`` marks a value, an empty one the path alone, and a space what both sides have.
    """
    path, old, new = change.path, change.old, change.new
    sides = [(sign, value) for sign, value in (("-", old), ("+", new)) if value is not None]
    if not path:
        # The whole object, or the chart with its message.
        yield from ((sign, cut(" ".join(value.split()), 800)) for sign, value in sides)
        return
    if all("\n" not in value and len(path) + len(value) <= width for _, value in sides):
        yield from ((sign, f"{path}: {value}") for sign, value in sides)
        return
    yield "", path
    lines = _value_lines(old, new, width)
    yield from ((sign, cut(line, 2 * width)) for sign, line in lines[:most])
    if len(lines) > most:
        yield " ", f"… {len(lines) - most} lines more"


def _value_lines(old: str | None, new: str | None, width: int) -> list[tuple[str, str]]:
    """Return long values as (sign, text): every line of one that stands alone, else only the lines that differ."""
    if old is None or new is None:
        return [(sign, line) for sign, value in (("-", old), ("+", new)) if value is not None for line in value.splitlines()]
    if "\n" in old or "\n" in new:
        found = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[3:]
        lines = [(" ", "…") if line[0] == "@" else (line[0], line[1:]) for line in found]
        # Without a line that differs, only the newline at the end does.
        return lines or [("-", repr(old[-20:])), ("+", repr(new[-20:]))]
    return list(zip("-+", _around_difference(old, new, width), strict=True))


def _around_difference(old: str, new: str, width: int) -> list[str]:
    """Return both values on a line each. If one is longer than ``width``, both are cut to the part that differs."""
    start, end = (max(0, length - width // 4) for length in shared_lengths(old, new))
    if max(len(old), len(new)) <= width:
        start = end = 0
    return [f"{'…' if start else ''}{cut(text[start : len(text) - end], width)}{'…' if end else ''}" for text in (old, new)]


def shared_lengths(old: str, new: str) -> tuple[int, int]:
    """Return how many characters the beginnings and the ends share, in whole words."""
    start = _shared_prefix(old, new)
    end = _shared_prefix(old[start:][::-1], new[start:][::-1])
    start = len(re.sub(r"[\w.]+$", "", old[:start]))
    tail = old[len(old) - end :] if end else ""
    return start, len(re.sub(r"^[\w.]+", "", tail))


def _shared_prefix(old: str, new: str) -> int:
    return next((index for index, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))


def cut(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
