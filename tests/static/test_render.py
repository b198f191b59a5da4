"""Proves: a render fails where Helm only warns, and Helm killed by a signal is neither a result nor cached."""

from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart import render as rendering
from scout_chat.chart.render import RenderError, render
from scout_chat.chart.scenarios import scenario
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART

from tests.support.renders import chart


@pytest.mark.charts
def test_a_dropped_value_is_an_error() -> None:
    """Where one values file has a map and another a string, Helm drops one of them and only warns."""
    with pytest.raises(RenderError, match="Helm dropped a value"):
        render(replace(scenario("local"), sets=("open-webui.copyAppData.resources=yes",), schema=False), CHART)


def test_a_killed_helm_is_an_error_and_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example when memory is short. The next render runs Helm again."""
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\nkill -9 $$\n")
    helm.chmod(0o755)
    monkeypatch.setattr(rendering, "tool", lambda name: str(helm))
    case = replace(scenario("local"), release="killed")
    for _ in range(2):
        with pytest.raises(UserError, match="helm was killed by signal 9 while it rendered local"):
            render(case, chart())
