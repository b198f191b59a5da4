"""A comparison as a person reads it: on a terminal, in a pull request's comment, as a page."""

import difflib
import re
from collections.abc import Iterator
from html import escape

from rich.text import Text

from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.diff import Change, Report

NOTHING = "nothing changes on the cluster"
# GitHub takes a comment of 65,536 characters.
COMMENT = 60_000
# Longer values are cut around what differs; the page has them whole.
WIDTH = 120
_SIGNS = {"-": "red", "+": "green", " ": "dim"}
_STYLES = dict(zip(CONSEQUENCES, ("bold red", "bold magenta", "magenta", "bold yellow", "yellow", "blue", "cyan", "dim"), strict=True))


def terminal(report: Report) -> Text:
    """For a terminal, with colours where it has them."""
    text = Text(f"{_headline(report)}\n")
    for consequence, objects in report.groups().items():
        text.append(f"\n{consequence}", _STYLES[consequence]).append(f"  {CONSEQUENCES[consequence]}\n", "dim")
        for (name, where), changes in objects.items():
            text.append(f"  {name}", "bold").append(f"  {_places(report, where, 6)}\n", "dim")
            common = _common_note(changes)
            if common:
                text.append(f"    {common}\n", "italic")
            for change in changes:
                for sign, line in _lines(change, 12):
                    text.append(f"    {'  ' if sign == ' ' else ''}{sign} {line}\n" if sign else f"    {line}\n", _SIGNS.get(sign, ""))
                if change.note and not common:
                    text.append(f"      {change.note}\n", "italic")
    for line in _notices(report):
        text.append(f"\n{line}")
    if not report.changes:
        text.append(f"\n{NOTHING}")
    return text


def markdown(report: Report, more: str = "") -> str:
    """For a pull request's comment, at most COMMENT characters; ``more`` says where the whole is."""
    parts = [f"### What changes on the cluster\n\n{_code(report.old)} → {_code(report.new)}, {_count(report)}\n"]
    if not report.changes:
        parts.append(f"\n**{NOTHING}**\n")
    else:
        parts.append("\n| consequence | changes | objects |\n|---|---|---|\n")
        for consequence, objects in report.groups().items():
            names = list(dict.fromkeys(name for name, _ in objects))
            more_names = f" and {len(names) - 6} more" if len(names) > 6 else ""
            # A bar ends a table's cell, in code as well.
            cells = ", ".join(_code(_cut(name)).replace("|", r"\|") for name in names[:6])
            parts.append(f"| **{consequence}** | {sum(map(len, objects.values()))} | {cells}{more_names} |\n")
    if notices := [_cut(" ".join(line.split()), 600) for line in _notices(report)][:20]:
        parts.append(f"\n{_fenced(chr(10).join(notices))}")
    size = sum(map(len, parts))
    # Room for the notice and for what must be closed.
    room, left_out = COMMENT - 600, 0
    for consequence, objects in report.groups().items():
        opening = f"\n<details><summary><b>{consequence}</b>: {CONSEQUENCES[consequence]}</summary>\n"
        blocks = [_block(report, name, where, changes) for (name, where), changes in objects.items()]
        opened = False
        for block, changes in zip(blocks, objects.values(), strict=True):
            needed = len(block) + (0 if opened else len(opening) + 20)
            if left_out or size + needed > room:
                left_out += len(changes)
                continue
            parts += [block] if opened else [opening, block]
            opened = True
            size += needed
        parts += ["\n</details>\n"] if opened else []
    if left_out:
        parts.append(f"\n**{left_out} changes are left out here.** {more or 'All of them: `scout-chat diff --html diff.html`'}\n")
    return "".join(parts)


def html(report: Report) -> str:
    """One page that needs nothing else; values are whole."""
    body = [f"<header><h1>What changes on the cluster</h1><p><code>{escape(report.old)}</code> → <code>{escape(report.new)}</code></p>"]
    body.append(f"<p class=quiet>{escape(_count(report))}: {' '.join(f'<span class=chip>{escape(name)}</span>' for name in report.scenarios)}</p>")
    groups = report.groups()
    if groups:
        body.append("<nav>")
        for consequence, objects in groups.items():
            count, names = sum(map(len, objects.values())), len({name for name, _ in objects})
            body.append(f'<a class="tile {_slug(consequence)}" href="#{_slug(consequence)}"><b>{count}</b> <span>{consequence}</span>')
            body.append(f"<small>{names} object{'s' if names > 1 else ''}</small></a>")
        body.append("</nav>")
    else:
        body.append(f"<p class=nothing>{NOTHING}</p>")
    body.append("</header>")
    body += [f"<pre class=notice>{escape(line)}</pre>" for line in _notices(report)]
    for consequence, objects in groups.items():
        slug = _slug(consequence)
        body.append(f'<section class="{slug}" id="{slug}"><h2>{consequence}</h2><p class=quiet>{escape(CONSEQUENCES[consequence])}</p>')
        for (name, where), changes in objects.items():
            kind, _, rest = name.rpartition("/")
            chips = "all scenarios" if where == report.scenarios else ""
            chips = f"<span class=chip>{chips}</span>" if chips else " ".join(f"<span class=chip>{escape(scenario)}</span>" for scenario in where)
            body.append(f"<article><h3><small>{escape(kind)}</small> {escape(rest)}</h3><div class=chips>{chips}</div>")
            if common := _common_note(changes):
                body.append(f"<p class=note>{escape(common)}</p>")
            body += [_row(change, bool(common)) for change in changes]
            body.append("</article>")
        body.append("</section>")
    title = f"{escape(report.old)} → {escape(report.new)}"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"
    )


def _headline(report: Report) -> str:
    return f"{report.old} → {report.new}, {_count(report)}"


def _count(report: Report) -> str:
    return f"{len(report.scenarios)} scenario{'' if len(report.scenarios) == 1 else 's'} compared"


def _notices(report: Report) -> Iterator[str]:
    """What could not be compared, a line each."""
    if report.added:
        yield f"only in {report.new}: {', '.join(report.added)}"
    if report.removed:
        yield f"only in {report.old}: {', '.join(report.removed)}"
    for refusal in report.refusals:
        # That the new side refuses is a change, and stands among them.
        if refusal.side == "old":
            yield f"{refusal.scenario} renders now; {report.old} refused it: {refusal.message}"
        elif refusal.side == "both sides":
            yield f"{refusal.scenario} is refused by both sides: {refusal.message}"


def _places(report: Report, where: tuple[str, ...], most: int) -> str:
    if where == report.scenarios and len(where) > 1:
        return f"all {len(where)} scenarios"
    return ", ".join(where[:most]) + (f" and {len(where) - most} more" if len(where) > most else "")


def _common_note(changes: list[Change]) -> str:
    """The note that all the changes of an object share."""
    notes = {change.note for change in changes}
    return notes.pop() if len(notes) == 1 else ""


def _lines(change: Change, most: int, width: int = WIDTH) -> Iterator[tuple[str, str]]:
    """The change as (sign, text): ``-`` and ``+`` are values, nothing is the path alone, a space what both sides have."""
    path, old, new = change.path, change.old, change.new
    sides = [(sign, value) for sign, value in (("-", old), ("+", new)) if value is not None]
    if not path:
        # The whole object; or the chart, with what it says.
        yield from ((sign, _cut(" ".join(value.split()), 800)) for sign, value in sides)
        return
    if all("\n" not in value and len(path) + len(value) <= width for _, value in sides):
        yield from ((sign, f"{path}: {value}") for sign, value in sides)
        return
    yield "", path
    if len(sides) == 1:
        lines = [(sides[0][0], line) for line in sides[0][1].splitlines()]
    elif "\n" in f"{old}{new}":
        found = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[3:]
        lines = [(" ", "…") if line[0] == "@" else (line[0], line[1:]) for line in found]
        # The newline at the end may be all that differs.
        lines = lines or [("-", repr(old[-20:])), ("+", repr(new[-20:]))]
    else:
        lines = list(zip("-+", _around(old, new, width), strict=True))
    yield from ((sign, _cut(line, 2 * width)) for sign, line in lines[:most])
    if len(lines) > most:
        yield " ", f"… {len(lines) - most} lines more"


def _around(old: str, new: str, width: int) -> tuple[str, str]:
    """Two lines; what is too long is cut so that what differs is seen."""
    start, end = (max(0, length - width // 4) for length in _shared(old, new))
    if max(len(old), len(new)) <= width:
        start = end = 0
    return tuple(f"{'…' if start else ''}{_cut(text[start : len(text) - end], width)}{'…' if end else ''}" for text in (old, new))


def _same(old: str, new: str) -> int:
    """How many characters both begin with."""
    return next((index for index, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))


def _shared(old: str, new: str) -> tuple[int, int]:
    """Lengths of the beginning and the end that both have, whole words."""
    start = _same(old, new)
    end = _same(old[start:][::-1], new[start:][::-1])
    start = len(re.sub(r"[\w.]+$", "", old[:start]))
    tail = old[len(old) - end :] if end else ""
    return start, len(re.sub(r"^[\w.]+", "", tail))


def _cut(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _code(text: str) -> str:
    """Inline code of any text on one line."""
    text = " ".join(text.split())
    marks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{marks}{space}{text}{space}{marks}"


def _fenced(text: str, language: str = "") -> str:
    marks = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{marks}{language}\n{text}\n{marks}\n"


def _block(report: Report, name: str, where: tuple[str, ...], changes: list[Change]) -> str:
    """An object's changes as a diff, which GitHub colours."""
    common, lines = _common_note(changes), []
    for change in changes:
        lines += [f"{sign} {text}" if sign else f"@@ {text} @@" for sign, text in _lines(change, 40)]
        lines += [f"# {change.note}"] if change.note and not common else []
    places = _places(report, where, 12)
    return f"\n{_code(name)} in {_code(places)}{': ' + _code(common) if common else ''}\n\n{_fenced(chr(10).join(lines), 'diff')}"


def _slug(consequence: str) -> str:
    return consequence.replace(" ", "-")


def _row(change: Change, noted: bool) -> str:
    note = f"<p class=note>{escape(change.note)}</p>" if change.note and not noted else ""
    path = f"<code class=path>{escape(change.path)}</code>" if change.path else ""
    old, new = change.old, change.new
    if "\n" in f"{old}{new}":
        lines = _lines(change, 5000, 10**6)
        classes = {"-": "old", "+": "new"}
        shown = "".join(f"<span class={classes.get(sign, 'same')}>{escape(sign)} {escape(line)}</span>" for sign, line in lines if sign)
        return f"<div class=change>{path}<pre>{shown}</pre>{note}</div>"
    if old is None or new is None:
        spans = f"<span class=new>+ {escape(new)}</span>" if old is None else f"<span class=old>− {escape(old)}</span>"
        return f"<div class=change>{path}<div class=values>{spans}</div>{note}</div>"
    start, end = _shared(old, new)
    # Where nothing is shared there is nothing to mark.
    start = start if start or end else len(old) + len(new)
    spans = [
        f"<span class={name}>{escape(text[:start])}<mark>{escape(text[start : len(text) - end])}</mark>{escape(text[len(text) - end :])}</span>"
        for name, text in (("old", old), ("new", new))
    ]
    return f"<div class=change>{path}<div class=values>{' <i>→</i> '.join(spans)}</div>{note}</div>"


_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1d2430; --quiet: #5d6878; --line: #dfe3ea; --chip: #eceff4;
  --old: #fde8e8; --old-mark: #f6b5b5; --old-text: #7d1a1a; --new: #e2f5e7; --new-mark: #a5dfb5; --new-text: #124d24;
  --refused: #c62828; --data: #a3358f; --secret: #7a48c4; --engine-reloads: #b5500a; --pods-restart: #8a6900;
  --network: #1f6fc4; --access: #0f8080; --other: #667085; }
@media (prefers-color-scheme: dark) {
  :root { --page: #12161c; --card: #1a2029; --text: #e4e8ee; --quiet: #97a3b4; --line: #2d3643; --chip: #29313d;
    --old: #3a1d20; --old-mark: #75292f; --old-text: #ffc4c4; --new: #16301f; --new-mark: #226039; --new-text: #bdf0cc;
    --refused: #ff6b66; --data: #e27fd0; --secret: #b392f0; --engine-reloads: #ff9d57; --pods-restart: #e0b93f;
    --network: #6cb2ff; --access: #4fc9c4; --other: #98a4b5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; }
h2 { margin: 0; font-size: 1.15rem; color: var(--tone); }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
h3 small { font-weight: 400; color: var(--quiet); }
p { margin: .25rem 0; }
code, pre, .values { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; }
nav { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1.1rem 0 0; }
.tile { display: flex; flex-direction: column; padding: .55rem .8rem .6rem; border: 1px solid var(--line); border-top: 4px solid var(--tone);
  border-radius: 8px; background: var(--card); color: inherit; text-decoration: none; }
.tile:hover { border-color: var(--tone); }
.tile b { font-size: 1.5rem; line-height: 1.2; color: var(--tone); }
.tile span { font-weight: 600; }
.tile small, .quiet { color: var(--quiet); }
section { margin-top: 2rem; padding-left: 1rem; border-left: 4px solid var(--tone); }
article { margin-top: .8rem; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
.chips { margin: .3rem 0 .1rem; }
.chip { display: inline-block; padding: 0 .55rem; margin: .1rem 0; border-radius: 1rem; background: var(--chip); font-size: 12px; color: var(--quiet); }
.change { display: flex; flex-wrap: wrap; gap: .1rem .9rem; align-items: baseline; padding: .35rem 0; border-top: 1px solid var(--line); }
.chips + .change, .note + .change { margin-top: .5rem; }
.change:last-child { padding-bottom: 0; }
.change pre, .change .note { flex-basis: 100%; }
.path { overflow-wrap: anywhere; color: var(--quiet); }
.values { overflow-wrap: anywhere; white-space: pre-wrap; }
.values i { color: var(--quiet); font-style: normal; }
.old, .new { padding: .1rem .35rem; border-radius: 4px; -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.old { background: var(--old); color: var(--old-text); }
.new { background: var(--new); color: var(--new-text); }
mark { background: none; color: inherit; border-radius: 3px; }
.old mark { background: var(--old-mark); }
.new mark { background: var(--new-mark); }
pre { margin: .3rem 0 0; max-height: 32rem; overflow: auto; }
pre span { display: block; width: max-content; min-width: 100%; border-radius: 0; }
.same { padding: .1rem .35rem; color: var(--quiet); }
.note { font-size: 13.5px; color: var(--tone); }
.notice { margin-top: .8rem; padding: .6rem .8rem; border: 1px dashed var(--line); border-radius: 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
.nothing { margin-top: 1.2rem; font-size: 1.1rem; font-weight: 600; color: var(--access); }
""" + "".join(f".{_slug(name)} {{ --tone: var(--{_slug(name)}); }}\n" for name in CONSEQUENCES)
