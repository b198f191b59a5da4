"""Proves: a changed setting of Open WebUI restarts its pods, because the ConfigMap's name has a hash of its content.

What an upgrade changes for a running release is the subject of test_diff.py.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart import recorded
from scout_chat.chart.render import Object, render
from scout_chat.chart.scenarios import scenario

from tests.support.objects import main, one, webui_settings
from tests.support.renders import rendered
from tests.support.variants import elsewhere


def loaded(objects: tuple[Object, ...]) -> str:
    """Return the name of the ConfigMap that the container loads; the release has it."""
    pod = one(objects, "Deployment", "-open-webui")["spec"]["template"]
    name: str = main(pod)["envFrom"][0]["configMapRef"]["name"]
    assert one(objects, "ConfigMap", name)
    return name


@pytest.mark.charts
def test_a_changed_setting_changes_the_pod_template() -> None:
    before, after = rendered(scenario("local")), rendered(replace(scenario("local"), sets=("global.chat.name=Ward 3",)))
    assert loaded(before) != loaded(after)


def test_a_changed_setting_changes_the_pod_template_of_recorded_renders_too(tmp_path: Path) -> None:
    case = scenario("local")
    chart = recorded.chart(case, tmp_path)
    names = {loaded(tuple(render(replace(case, sets=(f"global.chat.name={name}",)), chart))) for name in ("", "Ward 3")}
    assert len(names) == 2


@pytest.mark.charts
def test_two_releases_of_the_same_values_have_the_same_settings() -> None:
    assert webui_settings(rendered(elsewhere(scenario("external")))) == webui_settings(rendered(scenario("external")))
