"""Fixtures of the static tests, which render the chart and use no cluster and no network."""

import gc
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import typer.main
from scout_chat.chart.render import Case, render_all
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.cli import app
from scout_chat.core import kubeyaml
from scout_chat.core.pins import pins
from scout_chat.values.invalid import invalid_values

from tests.support.commands import Command
from tests.support.renders import HAVE_CHARTS
from tests.support.values_files import Write


def pytest_sessionstart(session: pytest.Session) -> None:
    """Render what most tests need, several at a time, before the workers start."""
    if HAVE_CHARTS and not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        render_all(wanted(session.config.args))


def wanted(paths: list[str]) -> list[Case]:
    """Return the cases to render first. A run of single files renders nothing first: each test renders what it needs."""
    if not any(Path(path.split("::")[0]).is_dir() for path in paths):
        return []
    cases = [replace(case, helm=helm) for helm in ("helm", "helm3") for case in scenarios().values()]
    cases += [replace(case, kubernetes=minor) for minor in pins().kubernetes for case in scenarios().values()]
    for mistake in invalid_values().values():
        cases.append(mistake.case())
        cases += [mistake.case(schema=False)] if mistake.templateMessage and mistake.schemaMessage else []
    return cases


def pytest_sessionfinish() -> None:
    """Exempt the cached renders from garbage collection: pytest collects several times at its end, which takes a second with them."""
    gc.freeze()


# Typer builds the tree of commands for each call, which takes longer than most commands.
_commands = cache(typer.main.get_command)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line as a shell would, in this process. Returns its exit status, and what it printed to both streams."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["scout-chat", *arguments])
        monkeypatch.setattr(typer.main, "get_command", _commands)
        with pytest.raises(SystemExit) as done:
            app.main()
        printed = capsys.readouterr()
        status = done.value.code or 0
        assert isinstance(status, int), status
        return status, printed.out + printed.err

    return run


@pytest.fixture
def mine(tmp_path: Path) -> Write:
    """Write values into mine.yaml, or into a file of another name. Returns its path."""

    def write(name: str = "mine.yaml", **values: object) -> Path:
        (tmp_path / name).write_text(kubeyaml.dump(values))
        return tmp_path / name

    return write


@pytest.fixture(params=sorted(scenarios()))
def case(request: pytest.FixtureRequest) -> Case:
    """Every scenario of tests/scenarios.yaml."""
    return scenario(request.param)


@pytest.fixture(params=sorted(name for name, case in scenarios().items() if "external" not in case.values))
def engine_case(request: pytest.FixtureRequest) -> Case:
    """Every scenario that runs engines."""
    return scenario(request.param)


@pytest.fixture(params=["helm", "helm3"])
def helm(request: pytest.FixtureRequest) -> str:
    """Helm 4 and Helm 3."""
    return str(request.param)


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty user cache."""
    monkeypatch.setenv("SCOUT_CHAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
