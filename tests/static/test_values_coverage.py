"""Proves: every value that the schema lets a user set changes at least one object in at least one scenario.

It does not prove that the change is the right one; the contracts and the snapshots do that for what matters.
"""

import shutil
from pathlib import Path

import pytest
from scout_chat.core.paths import CHART
from scout_chat.values import coverage


@pytest.mark.charts
def test_no_value_is_dead() -> None:
    dead = [f"{verdict.change.path}: {' '.join(verdict.refusals)}" for verdict in coverage.run() if not verdict.alive]
    assert not dead, "\n".join(dead)


def test_the_plan_names_no_path_that_the_schema_lacks() -> None:
    plan, paths = coverage.plan(), coverage.paths()
    assert {*plan.probes, *plan.waivers} <= paths.keys()


@pytest.mark.charts
def test_no_waiver_is_for_a_value_that_is_alive() -> None:
    waived = [coverage.Change(path, *coverage.changed(coverage.paths()[path], None, 90000)) for path in coverage.plan().waivers]
    assert [verdict.change.path for verdict in coverage.run(only=waived) if verdict.alive] == []


@pytest.mark.charts
def test_a_planted_dead_value_is_caught(tmp_path: Path) -> None:
    """The template of the chat's environment no longer reads global.chat.name."""
    chart = tmp_path / "scout-chat"
    shutil.copytree(CHART, chart)
    template = chart / "templates/chat/_env.tpl"
    text = template.read_text()
    assert '"WEBUI_NAME" .' in text
    template.write_text(text.replace('"WEBUI_NAME" .', '"WEBUI_NAME" "planted"'))
    # A change of the name alone: the first, from empty, would still show.
    changes = [change for change in coverage.changes() if change.path in ("global.chat.name", "global.chat.modelAccess")]
    assert {verdict.change.path: bool(verdict.alive) for verdict in coverage.run(chart, changes)} == {
        "global.chat.name": False,
        "global.chat.modelAccess": True,
    }
