"""Both tiers: say which charts are used, and skip tests that need the real archives where there are none."""

import pytest
from scout_chat.chart import recorded

from tests.support.renders import HAVE_CHARTS


def pytest_report_header() -> str:
    return "charts: the real archives" if HAVE_CHARTS else f"charts: {recorded.NOTICE}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not HAVE_CHARTS:
        missing = pytest.mark.skip(reason="needs the real chart archives (scout-chat charts); recorded renders cannot prove this")
        for item in items:
            if item.get_closest_marker("charts"):
                item.add_marker(missing)
