"""What the rules read, rendered before the first test."""

from dataclasses import replace

import pytest
from scout_chat.chart.render import render_all
from scout_chat.chart.scenarios import scenarios
from scout_chat.core.pins import pins

from tests.support.renders import HAVE_CHARTS


@pytest.fixture(scope="session", autouse=True)
def _rendered_together() -> None:
    """Render what the cache lacks, several at a time."""
    if HAVE_CHARTS:
        render_all([replace(case, kubernetes=minor) for case in scenarios().values() for minor in pins().kubernetes])
