"""What both tiers share: whether the real chart archives are here."""

import pytest
from scout_chat.chart import archives, recorded

HAVE_CHARTS = archives.at_hand()


def pytest_report_header() -> str:
    return "charts: the real archives" if HAVE_CHARTS else f"charts: {recorded.NOTICE}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not HAVE_CHARTS:
        missing = pytest.mark.skip(reason="needs the real chart archives (scout-chat charts); recorded renders prove nothing here")
        for item in items:
            if item.get_closest_marker("charts"):
                item.add_marker(missing)
