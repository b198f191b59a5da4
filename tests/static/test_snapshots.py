"""Proves: the snapshots are what the real charts render, a change of one character shows, and recorded renders stand in truly."""

from pathlib import Path

import pytest
from scout_chat.chart import recorded, snapshots
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART


@pytest.mark.charts
def test_snapshots_are_as_rendered(case: Case) -> None:
    """If this fails after a change that you meant: make snapshots, read git diff tests/snapshots, commit it."""
    assert snapshots.differences(case) == []


def test_every_case_has_a_snapshot_and_every_snapshot_a_case() -> None:
    assert {folder.name for folder in snapshots.SNAPSHOTS.iterdir() if folder.is_dir()} == set(scenarios())
    assert all(text.strip() for case in scenarios() for text in snapshots.recorded(case).values())


@pytest.mark.charts
@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lambda file: file.write_text(file.read_text().replace("v0.32.0", "v0.32.1")), "different: gpt-oss/vllm-stack/Deployment-chat-gpt-oss-120b"),
        (lambda file: file.unlink(), "missing: gpt-oss/vllm-stack/Deployment-chat-gpt-oss-120b"),
        (lambda file: file.with_name("Deployment-gone.yaml").write_text("kind: Deployment\n"), "stale: gpt-oss/vllm-stack/Deployment-gone.yaml"),
    ],
    ids=["one character", "missing", "stale"],
)
def test_a_planted_change_is_caught(plant, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in snapshots.recorded("gpt-oss").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(snapshots, "SNAPSHOTS", tmp_path)
    plant(tmp_path / "gpt-oss/vllm-stack/Deployment-chat-gpt-oss-120b-deployment-vllm.yaml")
    (line,) = snapshots.differences(scenario("gpt-oss"))
    assert line.startswith(found)


def texts(objects: list[Object]) -> dict[tuple[str, str], str]:
    return {(item.kind, item.name): snapshots.text(item) for item in objects}


@pytest.mark.charts
def test_the_recorded_chart_renders_what_the_real_one_does(case: Case, tmp_path: Path) -> None:
    """Every object, the hash of the environment included; only the source chart of the subcharts' objects is not told."""
    real = [Object("scout-chat", item.body) for item in render(case, CHART)]
    stand_in = [Object("scout-chat", item.body) for item in render(case, recorded.chart(case, tmp_path))]
    # Tokens are for the umbrella's Secret; vllm-stack's own is empty.
    assert texts([item for item in stand_in if item.kind != "Secret"]) == texts([item for item in real if item.kind != "Secret"])
    assert {item.name for item in stand_in if item.kind == "Secret"} == {item.name for item in real if item.kind == "Secret"}


def test_a_release_that_was_not_recorded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recorded render of local as release other"):
        recorded.chart(Case("local", ("local",), release="other"), tmp_path)
