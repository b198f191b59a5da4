"""`scout-chat diff`: what an upgrade changes on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from scout_chat.cli import options
from scout_chat.cli.options import OUTPUT_PANEL, refuse_existing, save


def diff(
    source: Annotated[
        str,
        typer.Argument(metavar="REF|CHART.tgz", help="What to compare the working tree with: a git revision of this repository, or a packaged chart."),
    ] = "HEAD",
    scenario: Annotated[list[str] | None, typer.Option(help="Compare only this scenario of tests/scenarios.yaml; repeatable.")] = None,
    values: Annotated[
        list[Path] | None,
        typer.Option("-f", "--values", help="Your own values file, instead of the scenarios; repeatable. A file of values/ is taken from each side."),
    ] = None,
    release: Annotated[str, typer.Option(help="Name of the Helm release. By default each scenario's.")] = "",
    namespace: Annotated[str, typer.Option(help="Namespace of the release. By default each scenario's.")] = "",
    fail_on: Annotated[
        str | None, typer.Option(help="Exit with status 1 if a change has this consequence or a more severe one, for example engine-reloads.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page.", rich_help_panel=OUTPUT_PANEL)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a comment for a pull request.", rich_help_panel=OUTPUT_PANEL)] = None,
    force: options.Force = False,
) -> None:
    """Show what an upgrade to the working tree changes on a cluster.

    Renders both versions of the chart with the same values. Lists the changes
    by consequence, most severe first: what is refused, loses data, reloads an
    engine, restarts pods. Without REF it shows what is not committed.

    Examples:

      scout-chat diff
      scout-chat diff main --html diff.html --fail-on engine-reloads
      scout-chat diff scout-chat-0.2.0.tgz -f values/gpt-oss.yaml -f mine.yaml
    """
    from rich.console import Console

    from scout_chat.review import consequences
    from scout_chat.review import diff as review
    from scout_chat.review.html import html_page
    from scout_chat.review.markdown import markdown_comment
    from scout_chat.review.terminal import terminal_text

    refuse_existing(force, {"--html": html, "--markdown": markdown})
    threshold = consequences.severity(fail_on) if fail_on else None
    report = review.run(source, scenario or [], values or [], release, namespace)
    if html:
        save(html, html_page(report))
    if markdown:
        save(markdown, markdown_comment(report, f"The page has all of them ({html.name})." if html else ""))
    Console(highlight=False).print(terminal_text(report), soft_wrap=True)
    raise typer.Exit(1 if threshold and report.at_least(threshold) else 0)
