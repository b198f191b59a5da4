"""Static tests render; they touch no cluster and no network."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from scout_chat.chart import recorded
from scout_chat.chart.render import Case, Object, render, render_all
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.cli import app
from scout_chat.core.paths import CHART
from scout_chat.core.pins import pins
from scout_chat.values.invalid import invalid_values

from tests.conftest import HAVE_CHARTS

Command = Callable[..., tuple[int, str]]


def pytest_sessionstart(session: pytest.Session) -> None:
    """What the tests will ask for is rendered first, on every core, once: each test then reads it."""
    if HAVE_CHARTS and not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        render_all(wanted(session.config.args))


def wanted(paths: list[str]) -> list[Case]:
    """The renders of a run over these paths: of the whole folder, all; of one file, what it asks for itself."""
    if not any(Path(path.split("::")[0]).is_dir() for path in paths):
        return []
    cases = [
        variant
        for case in scenarios().values()
        for variant in (case, replace(case, helm="helm3"), *(replace(case, kubernetes=minor) for minor in pins().kubernetes))
    ]
    for mistake in invalid_values().values():
        cases.append(mistake.case())
        cases += [mistake.case(schema=False)] if mistake.templateMessage and mistake.schemaMessage else []
    return cases


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Command:
    """Runs a command line as a shell would; gives its exit status, and what it printed to both streams."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["scout-chat", *arguments])
        with pytest.raises(SystemExit) as done:
            app.main()
        printed = capsys.readouterr()
        return done.value.code or 0, printed.out + printed.err

    return run


def assert_one_message(command: Command, line: str, words: tuple[str, ...]) -> None:
    """A mistake ends the command with status 1, no traceback, and these words."""
    status, output = command(*line.split())
    assert status == 1
    assert "Traceback" not in output
    for word in words:
        assert word in output


@cache
def rendered(case: Case) -> tuple[Object, ...]:
    """The case's objects, read once a process: from the real charts, or with the recorded subcharts in their place."""
    return tuple(render(case, chart(case.name)))


def chart(name: str = "local") -> Path:
    """The chart's folder: the real one, or the recorded render of the scenario."""
    return CHART if HAVE_CHARTS else _recorded(name)


@cache
def _recorded(name: str) -> Path:
    return recorded.chart(scenario(name), Path(_folder()) / name)


@cache
def _folder() -> str:
    import atexit
    import tempfile

    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return folder.name


def one(objects: tuple[Object, ...], kind: str, name: str) -> dict:
    """The object of that kind whose name ends so."""
    found = [item.body for item in objects if item.kind == kind and item.name.endswith(name)]
    assert len(found) == 1, f"{kind} *{name}: {[item.name for item in objects if item.kind == kind]}"
    return found[0]


@pytest.fixture(params=sorted(scenarios()))
def case(request: pytest.FixtureRequest) -> Case:
    return scenario(request.param)


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty user cache."""
    monkeypatch.setenv("SCOUT_CHAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
