"""Types and checks for tests of the command line. The fixture ``command`` is in tests/static/conftest.py."""

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Runs a command line in this process. Returns its exit status, and what it printed to both streams.
Command = Callable[..., tuple[int, str]]


def assert_one_message(command: Command, line: str, words: tuple[str, ...]) -> None:
    """Assert that the command fails with status 1, no traceback, and these words."""
    status, output = command(*line.split())
    assert status == 1
    assert "Traceback" not in output
    for word in words:
        assert word in output


def built(application: typer.Typer) -> TyperGroup:
    """The real parser of an application."""
    group = typer.main.get_command(application)
    assert isinstance(group, TyperGroup)
    return group


def leaves(group: TyperGroup, path: str = "") -> Iterator[tuple[str, TyperCommand]]:
    """Every command that does something, with its name on the command line."""
    for name, item in group.commands.items():
        if isinstance(item, TyperGroup):
            yield from leaves(item, f"{path} {name}".strip())
        else:
            assert isinstance(item, TyperCommand)
            yield f"{path} {name}".strip(), item


def parse(group: TyperGroup, line: str) -> dict[str, Any]:
    """Parse a command line with the real parser and return the parameters, without running the command."""
    parsed: dict[str, Any] = {}
    for _, leaf in leaves(group):
        leaf.callback = lambda **given: parsed.update(given)
    group.main(shlex.split(line), prog_name="scout-chat", standalone_mode=False)
    return parsed
