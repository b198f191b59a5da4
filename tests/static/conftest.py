"""Static tests render; they touch no cluster and no network."""

from functools import cache
from pathlib import Path

import pytest
from scout_chat import install
from scout_chat.render import Case, Object, render
from scout_chat.scenarios import scenario, scenarios


@cache
def rendered(case: Case) -> tuple[Object, ...]:
    """The case's objects, rendered once a process: from the real charts, or with the recorded subcharts in their place."""
    with install.chart_for(case) as chart:
        return tuple(render(case, chart))


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
