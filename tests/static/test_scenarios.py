"""Proves: the registry is complete: no values file without a scenario, no scenario without tests, each for a reason of its own."""

import json

import pytest
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS, SCENARIOS

from tests.static.conftest import rendered


def test_every_values_file_is_in_a_scenario() -> None:
    shipped = {str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml")}
    assert shipped - {name for case in scenarios().values() for name in case.values} == set()


def test_every_scenario_is_tested(request: pytest.FixtureRequest) -> None:
    """A test that takes `case` takes every scenario; one that leaves a scenario out of such a fixture shows here."""
    tested = {item.callspec.params["case"] for item in request.session.items if hasattr(item, "callspec") and "case" in item.callspec.params}
    if not tested:
        pytest.skip("no test of the scenarios is in this run")
    assert set(scenarios()) - tested == set()


def test_no_two_scenarios_are_the_same() -> None:
    seen: dict[str, str] = {}
    for name, case in scenarios().items():
        body = json.dumps([item.body for item in rendered(case) if item.kind != "Secret"])
        assert body not in seen, f"{name} renders what {seen[body]} does"
        seen[body] = name


def test_every_scenario_says_what_it_proves() -> None:
    reasons = [body["proves"] for body in kubeyaml.load(SCENARIOS.read_text()).values()]
    assert all(reasons) and len(set(reasons)) == len(reasons)
