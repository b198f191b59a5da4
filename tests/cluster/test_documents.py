"""Proves: the pinned kubectl takes every command in the documents: its subcommand, its options and its output format.

`--help` behind a command makes kubectl read it and run nothing, so no release is needed. Does not prove what a command prints.
"""

import subprocess

import pytest
from scout_chat.core.tools import tool

from tests.support.documents import Shell, blocks, commands

SHELLS = [shell for block in blocks() if block.language in ("sh", "console") for shell in commands(block) if shell.program == "kubectl"]


def refused(words: tuple[str, ...]) -> str:
    """Return kubectl's message for a command that it cannot read; empty for one that it can."""
    # What follows -- is another program's.
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    result = subprocess.run([tool("kubectl"), *own, "--help"], capture_output=True, text=True)
    return result.stderr if result.returncode or "unknown command" in result.stderr else ""


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: f"{shell.place} {' '.join(shell.words)}"[:90])
def test_kubectl_takes_the_command(shell: Shell) -> None:
    assert refused(shell.words) == ""


def test_a_wrong_option_is_seen() -> None:
    assert "unknown flag: --follw" in refused(("kubectl", "-n", "chat", "logs", "deploy/chat-open-webui", "--follw"))
