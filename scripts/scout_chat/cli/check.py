"""`scout-chat check`: what an install with your own values files would do."""

from pathlib import Path
from typing import Annotated

import typer

from scout_chat.cli.options import OUTPUT_PANEL
from scout_chat.core.errors import UserError


def check(
    context: typer.Context,
    values: Annotated[list[Path] | None, typer.Option("-f", "--values", help="A values file; repeatable. Later files override earlier ones.")] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu",
            metavar="NAME|ENGINE=NAME",
            help="Your GPU: a name of schema/catalog/gpus.yaml, for every engine or for one; repeatable. "
            "By default every GPU of the catalog on which the engine's pods may run.",
        ),
    ] = None,
    release: Annotated[str, typer.Option(help="Name of the Helm release.")] = "chat",
    namespace: Annotated[str, typer.Option(help="Namespace of the release.")] = "chat",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT_PANEL)] = False,
) -> None:
    """Check your values files before a cluster sees them.

    Renders them with the real chart. Shows what the chart refuses, whether
    vLLM accepts its arguments, whether each engine fits on its GPU, the images
    and volumes that an install takes, and what must exist before it.

    Exit status: 0 if nothing was found that would not work, 1 if something
    was, 2 if the check could not run.

    Examples:

      scout-chat check -f values/gpt-oss.yaml -f mine.yaml
      scout-chat check -f mine.yaml --gpu h100-80
      scout-chat check -f two.yaml --gpu gpt-oss-120b=h200 --gpu qwq-32b=l40s
    """
    import json

    from rich.console import Console

    from scout_chat.check import report, run
    from scout_chat.check.terminal import terminal_text

    try:
        if words := context.args:
            raise UserError(f"{words[0]}: each values file has -f before it", f"scout-chat check {' '.join(f'-f {word}' for word in words)}")
        answer = run.check(values or [], gpu or [], release, namespace)
    except UserError as error:
        error.status = 2
        raise
    if as_json:
        print(json.dumps(report.as_json(answer), indent=1))
    else:
        Console(highlight=False).print(terminal_text(answer), soft_wrap=True)
    raise typer.Exit(0 if answer.good else 1)
