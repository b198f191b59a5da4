"""Proves: the registry of scenarios is complete: every values file is in a scenario and installs alone, and tests use every scenario.

It does not prove that people install no other combination.
"""

import json
import re
from dataclasses import replace
from itertools import product

import pytest
from scout_chat.chart.render import render, render_all
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS, SCENARIOS

from tests.support.renders import rendered, values_case

FILES = sorted(str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml"))
# An overlay goes over a preset: one with a GPU, and the local one. An example names its preset; its scenario is that installation.
INSTALLABLE: list[tuple[str, ...]] = [(name,) for name in FILES if not name.startswith(("overlays/", "examples/"))]
INSTALLABLE += [(preset, name) for name in FILES if name.startswith("overlays/") for preset in ("gpt-oss", "local")]


@pytest.mark.charts
def test_every_values_file_installs_alone() -> None:
    """As the README installs it, with both Helms."""
    cases = [replace(values_case(*files), helm=helm) for files, helm in product(INSTALLABLE, ("helm", "helm3"))]
    render_all(cases)
    for each in cases:
        assert render(each), each


def test_every_values_file_is_in_a_scenario() -> None:
    assert set(FILES) - {name for case in scenarios().values() for name in case.values} == set()


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("examples/")])
def test_an_example_is_a_scenario_as_it_says(name: str) -> None:
    """The command in its comment has the values files of a scenario, in order."""
    command = re.search(r"^#   helm install chat charts/scout-chat (.*)$", (PRESETS / f"{name}.yaml").read_text(), re.MULTILINE)
    assert command, f"{name} has no command"
    files = tuple(file.removeprefix("values/").removesuffix(".yaml") for file in re.findall(r"-f (\S+)", command[1]))
    assert files in {case.values for case in scenarios().values()}


def test_every_scenario_is_tested(request: pytest.FixtureRequest) -> None:
    """The fixture ``case`` is every scenario; this fails if a test takes fewer."""
    tested = {item.callspec.params["case"] for item in request.session.items if isinstance(item, pytest.Function) and "case" in _parameters(item)}
    if not tested:
        pytest.skip("no test of the scenarios is in this run")
    assert set(scenarios()) - tested == set()


def _parameters(item: pytest.Function) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def test_no_two_scenarios_render_the_same_objects() -> None:
    seen: dict[str, str] = {}
    for name, case in scenarios().items():
        body = json.dumps([item.body for item in rendered(case) if item.kind != "Secret"])
        assert body not in seen, f"{name} renders the same as {seen[body]}"
        seen[body] = name


def test_every_scenario_has_a_reason_of_its_own() -> None:
    reasons = [body["proves"] for body in kubeyaml.load(SCENARIOS.read_text()).values()]
    assert all(reasons) and len(set(reasons)) == len(reasons)
