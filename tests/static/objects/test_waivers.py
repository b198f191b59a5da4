"""Proves: a waiver covers what it says and no more, every waiver is needed and none has expired.

A waiver accepts what a rule of this folder finds; tests/waivers.yaml lists them.
"""

from datetime import date

from scout_chat.chart.scenarios import scenarios

from tests.static.objects.all_rules import RULES
from tests.support.renders import HAVE_CHARTS
from tests.support.rules import over_minors
from tests.support.waivers import Finding, Waiver, expired, unused, unwaived, waivers


def test_every_waiver_is_needed() -> None:
    """All rules over all scenarios, whichever other tests run."""
    rules = [rule for rule in RULES.values() if HAVE_CHARTS or not rule.needs_charts]
    everything = [finding for rule in rules for case in scenarios().values() for finding in over_minors(rule, case)]
    idle = unused(everything, [waiver for waiver in waivers() if waiver.rule in {rule.name for rule in rules}])
    assert not idle, "\n".join(["nothing needs these any more; remove them from tests/waivers.yaml:", *map(str, idle)])


def test_no_waiver_has_expired() -> None:
    past = expired(waivers(), date.today())
    assert not past, "\n".join(["review these (tests/waivers.yaml, expires):", *(f"{waiver.expires}: {waiver}" for waiver in past)])


def test_every_waiver_names_a_rule() -> None:
    assert {waiver.rule for waiver in waivers()} <= RULES.keys()


def test_a_waiver_covers_what_it_says_and_no_more() -> None:
    finding = Finding("probes", "local", "Deployment/chat-x", "container x has no startupProbe")
    entry = {"rule": "probes", "object": "Deployment/*-x", "what": ["container x has *"], "scenario": "loc*", "reason": "planted", "expires": "2020-02-29"}
    waiver = Waiver.model_validate(entry)
    assert unwaived([finding], [waiver]) == [] and unused([finding], [waiver]) == []
    assert expired([waiver], date(2020, 2, 29)) == [] and expired([waiver], date(2020, 3, 1)) == [waiver]
    for field, other in (("rule", "names"), ("object", "Deployment/*-y"), ("what", ["container y *"]), ("scenario", "external")):
        elsewhere = Waiver.model_validate(entry | {field: other})
        assert unwaived([finding], [elsewhere]) == [finding] and unused([finding], [elsewhere]) == [elsewhere]
