"""A report as one HTML page that loads nothing. Values are whole."""

from html import escape
from pathlib import Path

from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.report import Change, ObjectChanges, Report
from scout_chat.review.summary import NOTHING_CHANGES, change_lines, compared, notices, shared_lengths

_CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_LINE_CLASSES = {"-": "old", "+": "new", " ": "same"}


def html_page(report: Report) -> str:
    """Return the page."""
    groups = report.groups()
    title = f"{escape(report.old)} → {escape(report.new)}"
    style = Path(__file__).with_name("page.css").read_text()
    body = [
        *_header(report, groups),
        *(f"<pre class=notice>{escape(line)}</pre>" for line in notices(report)),
        *(line for consequence, objects in groups.items() for line in _section(report, consequence, objects)),
    ]
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f'<meta http-equiv="Content-Security-Policy" content="{_CONTENT_POLICY}"><title>{title}</title><style>\n{style}</style></head>\n',
            "<body>\n",
            "\n".join(body),
            "\n</body></html>\n",
        )
    )


def _header(report: Report, groups: dict[str, list[ObjectChanges]]) -> list[str]:
    """Return the headline, and a tile for each consequence that links to its section."""
    lines = [
        f"<header><h1>What changes on the cluster</h1><p><code>{escape(report.old)}</code> → <code>{escape(report.new)}</code></p>",
        f"<p class=quiet>{escape(compared(report))}: {_chips(report.scenarios)}</p>",
    ]
    if groups:
        lines.append("<nav>")
        for consequence, objects in groups.items():
            changes, names = sum(len(item.changes) for item in objects), len({item.object for item in objects})
            lines.append(f'<a class="tile {_slug(consequence)}" href="#{_slug(consequence)}"><b>{changes}</b> <span>{consequence}</span>')
            lines.append(f"<small>{names} object{'s' if names > 1 else ''}</small></a>")
        lines.append("</nav>")
    else:
        lines.append(f"<p class=nothing>{NOTHING_CHANGES}</p>")
    return [*lines, "</header>"]


def _section(report: Report, consequence: str, objects: list[ObjectChanges]) -> list[str]:
    """Return the objects of one consequence, each with its changes."""
    slug = _slug(consequence)
    lines = [f'<section class="{slug}" id="{slug}"><h2>{consequence}</h2><p class=quiet>{escape(CONSEQUENCES[consequence])}</p>']
    for item in objects:
        kind, _, name = item.object.rpartition("/")
        scenarios = ("all scenarios",) if item.scenarios == report.scenarios else item.scenarios
        lines.append(f"<article><h3><small>{escape(kind)}</small> {escape(name)}</h3><div class=chips>{_chips(scenarios)}</div>")
        lines += [_note(item.note)] if item.note else []
        lines += [_change(change, "" if item.note else change.note) for change in item.changes]
        lines.append("</article>")
    return [*lines, "</section>"]


def _change(change: Change, note: str) -> str:
    """Return one change: the path, the values with the part that differs marked, and the note."""
    path = f"<code class=path>{escape(change.path)}</code>" if change.path else ""
    return f"<div class=change>{path}{_values(change)}{_note(note)}</div>"


def _values(change: Change) -> str:
    old, new = change.old, change.new
    if "\n" in f"{old}{new}":
        lines = change_lines(change, 5000, 10**6)
        return f"<pre>{''.join(f'<span class={_LINE_CLASSES[sign]}>{escape(sign)} {escape(line)}</span>' for sign, line in lines if sign)}</pre>"
    if old is None:
        return f"<div class=values><span class=new>+ {escape(new or '')}</span></div>"
    if new is None:
        return f"<div class=values><span class=old>− {escape(old)}</span></div>"
    start, end = shared_lengths(old, new)
    # If nothing is shared, nothing is marked: the whole value differs.
    start = start if start or end else len(old) + len(new)
    return f"<div class=values>{_marked('old', old, start, end)} <i>→</i> {_marked('new', new, start, end)}</div>"


def _marked(name: str, text: str, start: int, end: int) -> str:
    """Return the value with a mark around all but its first ``start`` and last ``end`` characters."""
    before, differs, after = text[:start], text[start : len(text) - end], text[len(text) - end :]
    return f"<span class={name}>{escape(before)}<mark>{escape(differs)}</mark>{escape(after)}</span>"


def _note(note: str) -> str:
    return f"<p class=note>{escape(note)}</p>" if note else ""


def _chips(names: tuple[str, ...]) -> str:
    return " ".join(f"<span class=chip>{escape(name)}</span>" for name in names)


def _slug(consequence: str) -> str:
    return consequence.replace(" ", "-")
