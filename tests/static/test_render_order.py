"""Proves: the install fails if Helm renders the subcharts before the templates that pass settings to them; with both Helms.

No Helm release renders so. The test breaks the order on purpose.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart.render import RenderError, render
from scout_chat.core.paths import CHART

from tests.support.renders import values_case

pytestmark = pytest.mark.charts


def test_a_helm_that_renders_in_another_order_is_refused(helm: str, tmp_path: Path) -> None:
    """Move the templates that pass settings on, so that their paths are no longer deeper than those of the subcharts."""
    chart = tmp_path / "scout-chat"
    shutil.copytree(CHART, chart)
    for file in (chart / "templates/settings/before/the/checks").iterdir():
        # Among templates of one depth, Helm renders the last name first.
        file.rename(chart / "templates" / f"a-{file.name}")
    for folder in ("validate", "settings"):
        shutil.rmtree(chart / "templates" / folder)
    with pytest.raises(RenderError, match="this release of Helm rendered the open-webui chart before the templates of scout-chat"):
        render(replace(values_case("gpt-oss"), helm=helm), chart)
