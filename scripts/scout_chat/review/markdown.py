"""A report as the comment on a pull request."""

import re

from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.report import ObjectChanges, Report
from scout_chat.review.summary import NOTHING_CHANGES, change_lines, compared, cut, notices, scenario_list

# GitHub accepts a comment of 65,536 characters.
COMMENT_CHARACTERS = 60_000


def markdown_comment(report: Report, more: str = "") -> str:
    """Return the comment, at most COMMENT_CHARACTERS long.

    If changes are left out, ``more`` says where the whole report is.
    """
    parts = [f"### What changes on the cluster\n\n{_code(report.old)} → {_code(report.new)}, {compared(report)}\n"]
    parts.append(_table(report) if report.changes else f"\n**{NOTHING_CHANGES}**\n")
    if lines := [cut(" ".join(line.split()), 600) for line in notices(report)][:20]:
        parts.append(f"\n{_fenced(chr(10).join(lines))}")
    size = sum(map(len, parts))
    # Leaves room for the sentence on what is left out, and for the tags that must be closed.
    room, left_out = COMMENT_CHARACTERS - 600, 0
    for consequence, objects in report.groups().items():
        opening = f"\n<details><summary><b>{consequence}</b>: {CONSEQUENCES[consequence]}</summary>\n"
        opened = False
        for item in objects:
            block = _block(report, item)
            needed = len(block) + (0 if opened else len(opening) + 20)
            if left_out or size + needed > room:
                left_out += len(item.changes)
                continue
            parts += [block] if opened else [opening, block]
            opened = True
            size += needed
        parts += ["\n</details>\n"] if opened else []
    if left_out:
        parts.append(f"\n**{left_out} changes are left out here.** {more or 'All of them: `scout-chat diff --html diff.html`'}\n")
    return "".join(parts)


def _table(report: Report) -> str:
    """Return a table of the consequences, with the number of changes and the first objects of each."""
    rows = ["\n| consequence | changes | objects |\n|---|---|---|\n"]
    for consequence, objects in report.groups().items():
        names = list(dict.fromkeys(item.object for item in objects))
        more_names = f" and {len(names) - 6} more" if len(names) > 6 else ""
        # A vertical bar ends a cell, even in code.
        cells = ", ".join(_code(cut(name)).replace("|", r"\|") for name in names[:6])
        rows.append(f"| **{consequence}** | {sum(len(item.changes) for item in objects)} | {cells}{more_names} |\n")
    return "".join(rows)


def _block(report: Report, item: ObjectChanges) -> str:
    """Return an object's changes as a diff, which GitHub shows in colors."""
    lines = []
    for change in item.changes:
        lines += [f"{sign} {text}" if sign else f"@@ {text} @@" for sign, text in change_lines(change, 40)]
        lines += [f"# {change.note}"] if change.note and not item.note else []
    scenarios = scenario_list(report, item.scenarios, 12)
    return f"\n{_code(item.object)} in {_code(scenarios)}{': ' + _code(item.note) if item.note else ''}\n\n{_fenced(chr(10).join(lines), 'diff')}"


def _code(text: str) -> str:
    """Return any text as inline code, on one line."""
    text = " ".join(text.split())
    marks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{marks}{space}{text}{space}{marks}"


def _fenced(text: str, language: str = "") -> str:
    """Return any text as a code block: the fence is longer than every run of backticks in it."""
    marks = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{marks}{language}\n{text}\n{marks}\n"
