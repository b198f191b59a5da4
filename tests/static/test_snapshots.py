"""Proves: the snapshots are what the real charts render, one changed character fails, and recorded renders equal real ones.

It does not prove that the reviewed objects are right.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scout_chat.chart import recorded, snapshots
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, SNAPSHOTS


@pytest.mark.charts
def test_snapshots_are_as_rendered(case: Case) -> None:
    """If this fails after an intended change: make snapshots, read git diff tests/snapshots, commit it."""
    assert snapshots.differences(case) == []


def test_every_scenario_has_snapshots_and_every_snapshot_a_scenario() -> None:
    assert {folder.name for folder in SNAPSHOTS.iterdir() if folder.is_dir()} == set(scenarios())
    assert all(text.strip() for case in scenarios() for text in snapshots.recorded(case).values())


@pytest.mark.charts
@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lambda file: file.write_text(file.read_text().replace("v0.33.0", "v0.33.1")), "different: gpt-oss/vllm-stack/Deployment-chat-gpt-oss-120b"),
        (lambda file: file.unlink(), "missing: gpt-oss/vllm-stack/Deployment-chat-gpt-oss-120b"),
        (lambda file: file.with_name("Deployment-gone.yaml").write_text("kind: Deployment\n"), "stale: gpt-oss/vllm-stack/Deployment-gone.yaml"),
    ],
    ids=["one character", "missing", "stale"],
)
def test_a_planted_change_is_found(plant: Callable[[Path], object], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in snapshots.recorded("gpt-oss").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(snapshots, "SNAPSHOTS", tmp_path)
    plant(tmp_path / "gpt-oss/vllm-stack/Deployment-chat-gpt-oss-120b-deployment-vllm.yaml")
    (line,) = snapshots.differences(scenario("gpt-oss"))
    assert line.startswith(found)


def texts(objects: list[Object]) -> dict[tuple[str, str], str]:
    """Return the objects as text by kind and name. Values of Secrets are left out: those that are created are random."""
    return {(item.kind, item.name): "" if item.kind == "Secret" else json.dumps(item.body, sort_keys=True) for item in objects}


@pytest.mark.charts
def test_the_recorded_chart_renders_what_the_real_chart_does(case: Case, tmp_path: Path) -> None:
    """Every object, with the hash of the environment."""
    assert texts(render(case, recorded.chart(case, tmp_path))) == texts(render(case, CHART))


def test_a_release_that_was_not_recorded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recorded render of local as release other"):
        recorded.chart(Case("local", ("local",), release="other"), tmp_path)
