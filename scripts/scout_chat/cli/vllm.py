"""`scout-chat vllm`: what each vLLM release accepts."""

from typing import Annotated

import typer

from scout_chat.cli import options
from scout_chat.core.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Record what each vLLM release accepts in schema/vllm, and compare releases.")


@app.command()
def record(check: options.Check = False) -> None:
    """Record what the pinned vLLM release accepts in schema/vllm.

    Asks the release itself: arguments with types and choices, parsers,
    attention backends, quantizations. Installs its packages first, once.

    Examples:

      scout-chat vllm record
      scout-chat vllm record --check
    """
    from scout_chat.core.paths import ROOT
    from scout_chat.core.pins import pins
    from scout_chat.core.progress import Phases
    from scout_chat.vllm import extract, release

    with Phases().phase("vllm") as progress:
        for pinned in pins().engine.releases:
            if not check:
                print(f"written: {extract.record(pinned, progress).relative_to(ROOT)}")
            elif lines := release.changes(release.recorded(pinned), extract.read_release(pinned, progress)):
                print("\n".join(lines))
                raise UserError(
                    f"schema/vllm differs from what vLLM {pinned} accepts", "Run scout-chat vllm record, then read what it changed: git diff schema/vllm"
                )


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A release in schema/vllm, for example v0.32.0.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another release in schema/vllm.")],
) -> None:
    """Show what changed between two recorded vLLM releases.

    Lists arguments, choices and parsers that were added, removed or changed.

    Example:

      scout-chat vllm diff v0.32.0 v0.33.0
    """
    from scout_chat.vllm import release

    print("\n".join(release.changes(release.recorded(old), release.recorded(new))) or "nothing changed")
