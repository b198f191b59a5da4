"""Proves: every value that the schema lets a user set changes at least one object in at least one scenario.

It does not prove that the change is right; contracts and snapshots prove that for the values that matter.
"""

import shutil
from pathlib import Path

import pytest
from scout_chat.core.paths import CHART
from scout_chat.values import coverage
from scout_chat.values.samples import another_value


@pytest.mark.charts
def test_every_value_has_an_effect() -> None:
    without_effect = [f"{result.change.path}: {' '.join(result.refusals)}" for result in coverage.run() if not result.has_effect]
    assert not without_effect, "\n".join(without_effect)


def test_the_schema_has_every_path_of_the_plan() -> None:
    plan, paths = coverage.plan(), coverage.paths()
    assert {*plan.overrides, *plan.waivers} <= paths.keys()


@pytest.mark.charts
def test_no_waived_value_has_an_effect() -> None:
    waived = [coverage.Change(path, *another_value(*coverage.paths()[path], None, 90000)) for path in coverage.plan().waivers]
    assert [result.change.path for result in coverage.run(only=waived) if result.has_effect] == []


@pytest.mark.charts
def test_a_value_that_no_template_reads_is_reported(tmp_path: Path) -> None:
    """Planted: the template of the chat's environment does not read global.chat.name."""
    chart = tmp_path / "scout-chat"
    shutil.copytree(CHART, chart)
    template = chart / "templates/chat/_env.tpl"
    text = template.read_text()
    assert '"WEBUI_NAME" .' in text
    template.write_text(text.replace('"WEBUI_NAME" .', '"WEBUI_NAME" "planted"'))
    # global.chat.modelAccess shows that the changed chart still renders.
    changes = [change for change in coverage.changes() if change.path in ("global.chat.name", "global.chat.modelAccess")]
    assert {result.change.path: result.has_effect for result in coverage.run(chart, changes)} == {
        "global.chat.name": False,
        "global.chat.modelAccess": True,
    }
