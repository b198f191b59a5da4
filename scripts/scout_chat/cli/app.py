"""The application `scout-chat`: which commands there are, how the top help groups them, and how a command ends."""

import sys
from collections.abc import Callable
from itertools import chain

import typer
from typer.core import TyperGroup

from scout_chat.cli import chart, chat, check, cluster, maintain, planning, review, vllm
from scout_chat.core.errors import UserError

# The panels of the top help, each with its commands in the order in which a newcomer needs them.
PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Choose a model and GPUs": {"plan": planning.plan, "preset": planning.preset, "check": check.check, "calibrate": planning.calibrate},
    "Try the chat, review an upgrade": {"chat": chat.app, "cluster": cluster.app, "diff": review.diff},
    "Change the chart": {
        "charts": chart.charts,
        "test": maintain.test,
        "lint": maintain.lint,
        "generate": maintain.generate,
        "snapshot": chart.snapshot,
        "values-coverage": chart.values_coverage,
        "vllm": vllm.app,
        "bump": maintain.bump,
        "tools": maintain.tools,
    },
}


class _InOrder(TyperGroup):
    """Lists the commands in the order of PANELS; typer itself puts groups last."""

    def list_commands(self, ctx: object) -> list[str]:
        return list(chain.from_iterable(PANELS.values()))


app = typer.Typer(
    cls=_InOrder,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Plan, try and maintain a private chat on Kubernetes: Open WebUI in front of
vLLM, installed by the Helm chart in charts/scout-chat.

Every command has examples: scout-chat COMMAND --help

Examples:

  scout-chat plan gpt-oss-120b --gpu a100-80
  scout-chat preset gpt-oss-120b --gpu a100-80 -o model.yaml
  scout-chat chat up
""",
)
for panel, commands in PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            # check explains the files that have no -f before them.
            app.command(name, rich_help_panel=panel, context_settings={"allow_extra_args": command is check.check})(command)


def main() -> None:
    """Run a command line. A UserError is printed as one message and ends with its status, 1 or 2, an interruption with 130, a wrong option with 2."""
    try:
        sys.exit(app(prog_name="scout-chat"))
    except UserError as error:
        from rich.markup import escape

        from scout_chat.core.progress import console

        console.print(f"[red]Error:[/] {escape(str(error))}", soft_wrap=True)
        if error.hint:
            console.print(error.hint, markup=False, soft_wrap=True)
        sys.exit(error.status)
