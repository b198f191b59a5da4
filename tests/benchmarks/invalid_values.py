"""Print the table of invalid values: each mistake alone, with Helm 4 and with Helm 3 (``python -m tests.benchmarks.invalid_values``)."""

import re
from dataclasses import replace

from scout_chat.chart.render import Case, RenderError, render, render_all
from scout_chat.core.paths import CHART
from scout_chat.values.invalid import InvalidValue, invalid_values


def refusal(case: Case) -> str:
    """Return Helm's message; empty if it accepts the values."""
    try:
        render(case, CHART)
    except RenderError as error:
        return str(error)
    return ""


COLUMNS = {
    "Helm 4 refuses": "refused by Helm 4",
    "Helm 3 refuses": "refused by Helm 3",
    "names the path": "with the path in the message",
    "templates refuse too": "refused by the templates too",
}


def row(mistake: InvalidValue) -> tuple[bool, ...]:
    """Return what holds for the mistake, one value per column."""
    messages = [refusal(mistake.case(helm)) for helm in ("helm", "helm3")]
    expected = mistake.schemaMessage or mistake.templateMessage
    keys = {part for path in mistake.set for part in re.findall(r"[A-Za-z][\w-]*", path)}
    names_the_path = not keys or any(key in expected for key in keys)
    # A mistake with a message of the templates is refused with --skip-schema-validation too.
    by_templates = bool(mistake.templateMessage) and mistake.templateMessage in refusal(replace(mistake.case(), schema=False))
    return expected in messages[0], expected in messages[1], names_the_path, by_templates


def main() -> None:
    """Print the table and the number of mistakes in each column."""
    render_all([mistake.case(helm) for mistake in invalid_values().values() for helm in ("helm", "helm3")])
    rows = {name: row(mistake) for name, mistake in invalid_values().items()}
    print(f"| mistake | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
    for name, marks in rows.items():
        print(f"| {name} | {' | '.join('yes' if mark else 'no' for mark in marks)} |")
    totals = [f"{sum(marks[column] for marks in rows.values())} {label}" for column, label in enumerate(COLUMNS.values())]
    print(f"\n{len(rows)} mistakes: {', '.join(totals)}")


if __name__ == "__main__":
    main()
