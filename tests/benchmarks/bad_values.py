"""Prints the table of bad values: each mistake made alone, with Helm 4 and with Helm 3 (``python -m tests.benchmarks.bad_values``)."""

import re
from dataclasses import replace

from scout_chat.chart.render import Case, RenderError, render, render_all
from scout_chat.core.paths import CHART
from scout_chat.values.invalid import InvalidValue, invalid_values


def refusal(case: Case) -> str:
    """What Helm says; empty if it takes the values."""
    try:
        render(case, CHART)
    except RenderError as error:
        return str(error)
    return ""


def row(name: str, mistake: InvalidValue) -> tuple[str, bool, bool, bool, bool]:
    messages = [refusal(mistake.case(helm)) for helm in ("helm", "helm3")]
    expected = mistake.refused or mistake.words
    keys = {part for path in mistake.set for part in re.findall(r"[A-Za-z][\w-]*", path)}
    path = not keys or any(key in expected for key in keys)
    # Where the templates have words, --skip-schema-validation does not help either.
    unskippable = bool(mistake.words) and mistake.words in refusal(replace(mistake.case(), schema=False))
    return name, expected in messages[0], expected in messages[1], path, unskippable


def main() -> None:
    render_all([mistake.case(helm) for mistake in invalid_values().values() for helm in ("helm", "helm3")])
    rows = [row(name, mistake) for name, mistake in invalid_values().items()]
    print("| mistake | Helm 4 refuses | Helm 3 refuses | names the path | templates refuse too |\n|---|---|---|---|---|")
    for name, *marks in rows:
        print(f"| {name} | {' | '.join('yes' if mark else 'no' for mark in marks)} |")
    print(
        f"\n{len(rows)} mistakes: "
        + ", ".join(
            f"{sum(row[column] for row in rows)} {what}"
            for column, what in enumerate(("refused by Helm 4", "refused by Helm 3", "with the path in the message", "refused by the templates too"), 1)
        )
    )


if __name__ == "__main__":
    main()
