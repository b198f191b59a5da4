"""Options that several commands share, each declared once, and the files that options name."""

from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from scout_chat.core.errors import UserError

VLLM_PANEL = "vLLM settings"
OUTPUT_PANEL = "Output"

# planning.planner.BATCHED_TOKENS, repeated here because importing the planner takes longer than printing a help text.
BATCHED_TOKENS = 2048
# The share of their time in which people wait for an answer, in the example of docs/explain/sizing.md: 20 of 80 seconds.
WAITING_SHARE = 0.25

Provider = Annotated[
    str | None,
    typer.Option("--provider", metavar="kind|one-node", help="How to run Kubernetes. By default kind if a Docker engine answers, else one-node (Linux, root)."),
]

Check = Annotated[bool, typer.Option("--check", help="Write nothing. Compare, and exit with status 1 if something differs.")]

Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.", rich_help_panel=OUTPUT_PANEL)]

Gpu = Annotated[str, typer.Option("--gpu", metavar="NAME", help="A GPU of schema/catalog/gpus.yaml, for example a100-80, or cpu.")]

_GPUS = typer.Option("--gpus", help="Number of GPUs of one engine.")
Gpus = Annotated[int, _GPUS]
OptionalGpus = Annotated[int | None, _GPUS]


def _tokens(text: str) -> int:
    from scout_chat.planning.options import tokens

    return tokens(text)


Context = Annotated[
    int | None,
    typer.Option("--context", parser=_tokens, metavar="TOKENS", help="Context length in tokens, for example 32768 or 32k."),
]

ConcurrentChats = Annotated[
    int | None,
    typer.Option(
        "--concurrent-chats",
        help="Chats of a full context that must fit in the KV cache at the same time. That is the number of people in the chat, "
        "times the share of their time in which they wait for an answer (docs/explain/planner.md).",
    ),
]


def _refuse_users(value: int | None) -> None:
    if value is not None:
        chats = ceil(value * WAITING_SHARE)
        raise UserError(
            "--users is now called --concurrent-chats: it counts chats at the same time, not people",
            f"{value} people are about {chats} chats at the same time (docs/explain/sizing.md): --concurrent-chats {chats}",
        )


Users = Annotated[int | None, typer.Option("--users", hidden=True, callback=_refuse_users, help="The former name of --concurrent-chats.")]


def _kv_dtype(text: str) -> str:
    """Read bf16 as auto: every model of the catalog has it as its own type."""
    return "auto" if text in ("bf16", "bfloat16") else text


KvDtype = Annotated[
    str, typer.Option("--kv-dtype", parser=_kv_dtype, metavar="auto|fp8", help="Data type of the KV cache; auto is bf16.", rich_help_panel=VLLM_PANEL)
]

BatchedTokens = Annotated[
    int, typer.Option("--max-num-batched-tokens", help="vLLM's argument of that name: tokens processed in one step.", rich_help_panel=VLLM_PANEL)
]


def refuse_existing(force: bool, outputs: dict[str, Path | None]) -> None:
    """Raise UserError if a file to be written exists, unless ``force``. ``outputs`` maps an option to its path; None: not given.

    Call it before a command's work starts, which can take minutes. Devices such as /dev/stdout can always be written.
    """
    for option, path in outputs.items():
        if path and path.is_file() and not force:
            raise UserError(f"{option} {path}: the file exists", "Name another file, or add --force to overwrite it.")


def save(path: Path, text: str) -> None:
    """Write the file. Raises UserError if that fails."""
    try:
        path.write_text(text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
