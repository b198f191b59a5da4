"""Proves: exit statuses, help texts with examples that parse, no overwritten files, and no traceback for a mistake.

What a command does is proven by the tests of the room that it calls.
"""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest
import typer
from scout_chat.cli import app, options
from scout_chat.core.errors import UserError
from scout_chat.maintain import tiers
from scout_chat.planning import picture
from scout_chat.planning.planner import BATCHED_TOKENS
from scout_chat.review import diff
from scout_chat.review.report import Report

from tests.support.commands import Command, built, leaves, parse

# Exit statuses


@pytest.mark.parametrize(("static", "cluster", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (5, 0, 5)])
def test_a_failed_tier_fails_the_command(static: int, cluster: int, status: int, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """A green tier after a red one must not hide it."""
    results = {"tests/static": static, "tests/cluster": cluster}
    monkeypatch.setattr(tiers, "pytest", lambda path, *_: results[path])
    monkeypatch.setattr(tiers, "choose", lambda: SimpleNamespace(preparations={}))
    assert command("test")[0] == status


def test_a_tier_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    def refuse() -> None:
        raise UserError("no Docker engine answers")

    monkeypatch.setattr(tiers, "pytest", lambda *_: 0)
    monkeypatch.setattr(tiers, "choose", refuse)
    status, output = command("test")
    assert status == 0
    assert "cluster tier not run: no Docker engine answers" in output


def test_a_users_mistake_is_one_message_and_status_1(command: Command) -> None:
    assert command("test", "fast") == (1, "Error: there is no tier fast\nTiers: static, cluster, all\n")


def test_ci_never_writes_snapshots(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setenv("CI", "true")
    status, output = command("snapshot")
    assert status == 1
    assert "CI never writes snapshots" in output


def test_a_stale_file_fails_the_check(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    from scout_chat.maintain import generate

    monkeypatch.setattr(generate, "stale", lambda: ["docs/reference/values.md"])
    assert command("generate", "--check") == (
        1,
        "Error: generated files are stale: docs/reference/values.md\nRun scout-chat generate, then read what it changed: git diff\n",
    )
    monkeypatch.setattr(generate, "stale", lambda: [])
    assert command("generate", "--check") == (0, "")


def test_an_unknown_option_is_status_2_without_a_traceback(command: Command) -> None:
    status, output = command("chat", "up", "--fast")
    assert status == 2
    assert "No such option" in output and "Traceback" not in output


@pytest.mark.parametrize(("wrong", "near"), [("generat", "generate"), ("snapshots", "snapshot"), ("value-coverage", "values-coverage"), ("pln", "plan")])
def test_a_wrong_command_is_answered_with_the_nearest(wrong: str, near: str, command: Command) -> None:
    status, output = command(wrong)
    assert status == 2
    assert f"No such command '{wrong}'. Did you mean '{near}'?" in output


@pytest.mark.parametrize("former", ["schema", "liveness"])
def test_former_commands_are_gone(former: str, command: Command) -> None:
    status, output = command(former)
    assert status == 2
    assert f"No such command '{former}'" in output


# Help


def examples(text: str) -> list[str]:
    """The examples of a help text: each line below "Example:" or "Examples:", without what a shell puts around the command."""
    _, _, listed = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE).partition("Examples:\n")
    return re.findall(r"scout-chat ([^)\n]*)", listed)


def faults(path: str, text: str) -> list[str]:
    """What a help text lacks."""
    summary, *rest = text.split("\n\n")
    found = []
    if "\n" in summary or not summary.endswith(".") or len(summary) > 78:
        found.append("the summary is not one sentence on one line of at most 78 characters")
    if not [line for line in examples(text) if line == path or line.startswith(f"{path} ")]:
        found.append("no example of the command")
    if any(len(line) > 78 for paragraph in rest for line in paragraph.splitlines()):
        found.append("a line is longer than 78 characters, so a terminal of 80 wraps it")
    return found


COMMANDS = dict(leaves(built(app.app)))
EXAMPLES = [line for item in (built(app.app), *COMMANDS.values()) for line in examples(item.help or "") if "COMMAND" not in line]


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_has_a_summary_and_an_example(path: str) -> None:
    assert faults(path, COMMANDS[path].help or "") == []


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_parses(line: str) -> None:
    parse(built(app.app), line)


def test_a_command_without_an_example_and_an_example_with_a_wrong_option_are_seen() -> None:
    application = typer.Typer()

    @application.command()
    def bare() -> None:
        """Show something."""

    @application.command()
    def other(count: int = 1) -> None:
        """Show something else.

        Example:

          scout-chat other --number 2
        """

    found = dict(leaves(built(application)))
    assert faults("bare", found["bare"].help or "") == ["no example of the command"]
    (line,) = examples(found["other"].help or "")
    assert faults("other", found["other"].help or "") == []
    with pytest.raises(Exception, match="No such option: --number"):
        parse(built(application), line)
    assert parse(built(application), "other --count 2") == {"count": 2}


def test_the_top_help_lists_every_command_in_its_panel(command: Command) -> None:
    status, output = command("--help")
    assert status == 0
    titles = [line.strip("╭─╮ ") for line in output.splitlines() if line.startswith("╭")]
    assert titles == ["Options", *app.PANELS]
    listed = re.findall(r"^│ ([a-z-]+)  ", output, re.MULTILINE)
    assert [name for name in listed if not name.startswith("-")] == [name for panel in app.PANELS.values() for name in panel]


def test_help_and_mistakes_load_no_heavy_library() -> None:
    """In one new interpreter: what none of the three commands loads, each of them does not load."""
    heavy = {"cryptography", "httpx", "jinja2", "jsonschema", "kubernetes", "matplotlib", "playwright", "socketio", "yaml"}
    lines = [("--help",), ("plan", "--help"), ("diff", "--nonsense")]
    program = f"""
import contextlib, sys
from scout_chat.cli.app import app
for arguments in {lines!r}:
    with contextlib.suppress(SystemExit):
        app(list(arguments))
print(*{heavy!r} & set(sys.modules))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert "Usage: " in printed and printed.splitlines()[-1] == ""


def test_the_default_of_batched_tokens_is_the_planners() -> None:
    assert options.BATCHED_TOKENS == BATCHED_TOKENS


# Files that a command writes

OUTPUTS = [
    ("preset gpt-oss-20b --gpu a100-80", "-o", "--output"),
    ("preset gpt-oss-20b --gpu a100-80", "--output", "--output"),
    ("plan gpt-oss-20b --gpu a100-80", "--picture", "--picture"),
    ("diff --scenario local", "--html", "--html"),
    ("diff --scenario local", "--markdown", "--markdown"),
]


@pytest.mark.parametrize(("line", "given", "option"), OUTPUTS)
def test_an_existing_file_is_overwritten_only_with_force(
    line: str, given: str, option: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff, "run", lambda *_: Report("old", "new"))
    monkeypatch.setattr(picture, "render", lambda *_: b"<svg/>")
    file = tmp_path / "mine.svg"
    assert command(*line.split(), given, str(file))[0] == 0
    assert file.read_text()
    file.write_text("edited by hand")
    status, output = command(*line.split(), given, str(file))
    assert (status, output) == (1, f"Error: {option} {file}: the file exists\nName another file, or add --force to overwrite it.\n")
    assert file.read_text() == "edited by hand"
    assert command(*line.split(), given, str(file), "--force")[0] == 0
    assert file.read_text() != "edited by hand"


def test_a_screenshot_does_not_overwrite_a_file(tmp_path: Path, command: Command) -> None:
    file = tmp_path / "chat.png"
    file.write_bytes(b"a picture")
    status, output = command("chat", "screenshot", str(file))
    assert status == 1
    assert f"PATH {file}: the file exists" in output


def test_every_command_that_writes_a_named_file_has_force() -> None:
    """A single path is one that the command writes; diff reads a list of values files."""
    found = set()
    for path, item in COMMANDS.items():
        assert item.callback
        hints = get_type_hints(inspect.unwrap(item.callback))
        if any(hint in (Path, Path | None) for hint in hints.values()):
            assert "force" in hints, path
            found.add(path)
    assert found == {"plan", "preset", "diff", "chat screenshot"}


def test_a_device_can_be_written(command: Command) -> None:
    assert command("preset", "gpt-oss-20b", "--gpu", "a100-80", "-o", "/dev/null")[0] == 0


def test_a_file_that_cannot_be_written_is_one_message(tmp_path: Path, command: Command) -> None:
    status, output = command("preset", "gpt-oss-20b", "--gpu", "a100-80", "-o", str(tmp_path / "no" / "x.yaml"))
    assert status == 1
    assert output == f"Error: {tmp_path}/no/x.yaml cannot be written: No such file or directory\n"
