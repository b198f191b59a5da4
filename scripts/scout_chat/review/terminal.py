"""A report on a terminal."""

from rich.text import Text

from scout_chat.review.consequences import CONSEQUENCES
from scout_chat.review.report import Report
from scout_chat.review.summary import NOTHING_CHANGES, change_lines, compared, notices, scenario_list

_SIGNS = {"-": "red", "+": "green", " ": "dim"}
_STYLES = dict(zip(CONSEQUENCES, ("bold red", "bold magenta", "magenta", "bold yellow", "yellow", "blue", "cyan", "dim"), strict=True))


def terminal_text(report: Report) -> Text:
    """Return the report with colors, which rich shows where the terminal has them."""
    text = Text(f"{report.old} → {report.new}, {compared(report)}\n")
    for consequence, objects in report.groups().items():
        text.append(f"\n{consequence}", _STYLES[consequence]).append(f"  {CONSEQUENCES[consequence]}\n", "dim")
        for item in objects:
            text.append(f"  {item.object}", "bold").append(f"  {scenario_list(report, item.scenarios, 6)}\n", "dim")
            if item.note:
                text.append(f"    {item.note}\n", "italic")
            for change in item.changes:
                for sign, line in change_lines(change, 12):
                    text.append(f"    {'  ' if sign == ' ' else ''}{sign} {line}\n" if sign else f"    {line}\n", _SIGNS.get(sign, ""))
                if change.note and not item.note:
                    text.append(f"      {change.note}\n", "italic")
    for line in notices(report):
        text.append(f"\n{line}")
    if not report.changes:
        text.append(f"\n{NOTHING_CHANGES}")
    return text
