"""Proves: with the longest release name that the chart accepts every rule of this folder still holds, and a longer name is refused."""

from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, RenderError, render, render_all
from scout_chat.chart.scenarios import scenarios
from scout_chat.core.paths import CHART

from tests.static.objects.all_rules import RULES
from tests.support.rules import assert_none, findings
from tests.support.variants import longest


def one_more(case: Case) -> Case:
    """Return the case with one more character in the release name."""
    return replace(case, release=f"{case.release}9")


@pytest.fixture(scope="module")
def _longest_together() -> None:
    """Render what the cache lacks, several at a time."""
    render_all([variant for case in scenarios().values() for variant in (longest(case), one_more(longest(case)))])


@pytest.mark.charts
@pytest.mark.usefixtures("_longest_together")
def test_every_rule_holds_with_the_longest_release_name(case: Case) -> None:
    """The name occurs nowhere else in the chart."""
    assert_none(finding for rule in RULES.values() for finding in findings(rule, longest(case)))


@pytest.mark.charts
@pytest.mark.usefixtures("_longest_together")
def test_a_longer_release_name_is_refused(case: Case) -> None:
    with pytest.raises(RenderError, match=r"too long together|release name.*53"):
        render(one_more(longest(case)), CHART)
