"""`scout-chat chat`: the chat on this machine, from nothing to the first answer and back."""

from pathlib import Path
from typing import Annotated

import typer

from scout_chat.cli import cluster, options
from scout_chat.cli.options import refuse_existing

app = typer.Typer(no_args_is_help=True, help="Run a real chat on this machine, without a GPU (make chat).")

Question = Annotated[str, typer.Option("--question", help="What to ask. By default a question about the capital of France.")]


@app.command()
def up(provider: options.Provider = None, question: Question = "") -> None:
    """Start a Kubernetes node, install the chart on it and ask a first question.

    Uses values/local.yaml: a small model on vLLM's CPU build. Prints the
    chat's address and its first account. Run it again to finish an interrupted
    start. The first run downloads or builds what is missing.

    Examples:

      scout-chat chat up
      scout-chat chat up --provider one-node --question "Who wrote Faust?"
    """
    from scout_chat.chat import quickstart
    from scout_chat.cluster.provider import choose

    quickstart.up(choose(provider), question or quickstart.QUESTION)


@app.command()
def down(provider: options.Provider = None) -> None:
    """Remove the chat and its node: processes, mounts, interfaces and files.

    The same as scout-chat cluster down.

    Example:

      scout-chat chat down
    """
    cluster.down(provider)


@app.command()
def screenshot(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The PNG file to write.")],
    question: Question = "",
    expect: Annotated[str | None, typer.Option(help="Fail unless the answer contains this text, in any case.")] = None,
    provider: options.Provider = None,
    force: options.Force = False,
) -> None:
    """Ask a question in a real browser and save the page as a PNG file.

    Signs in to the running chat with Chromium, as a person would, and prints
    the answer. Needs a chat (scout-chat chat up) and Debian's chromium.

    Example:

      scout-chat chat screenshot chat.png --expect Paris
    """
    from scout_chat.chat import quickstart
    from scout_chat.chat.browser import screenshot_chat
    from scout_chat.cluster.provider import choose
    from scout_chat.core.progress import console

    refuse_existing(force, {"PATH": path})
    account = quickstart.account(choose(provider))
    print(screenshot_chat(account.url, account.email, account.password, question or quickstart.QUESTION, path, expect))
    console.print(f"saved {path}", markup=False)
