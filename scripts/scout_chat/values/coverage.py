"""Values coverage: find values that change no rendered object.

The chart is rendered with another value for each path that the schema accepts, and some object must differ. A text or a large number
occurs nowhere else, so one render can change many of them: a path has an effect if its new value appears in an object. A boolean or a
choice is changed in a render of its own. tests/values-coverage.yaml names the scenarios for this, and explains its fields.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from scout_chat.chart import upstream
from scout_chat.chart.render import Case, Object, RenderError, render, render_all
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins
from scout_chat.values import schema
from scout_chat.values.samples import another_value

FILE = ROOT / "tests" / "values-coverage.yaml"
MODEL_SPEC = ("vllm-stack", "servingEngineSpec", "modelSpec")
# The first of the numbers that make new values unique: above every port and default.
FIRST_NUMBER = 20000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Base(_Strict):
    """A scenario with more features enabled, over which values are changed."""

    scenario: str
    extra: KubeObject = {}
    only: str = ""
    skip: list[str] = []

    def covers(self, path: str) -> bool:
        """Return whether the path is changed over this base."""
        return path.startswith(self.only) and not any(path.startswith(prefix) for prefix in self.skip)

    def case(self, name: str) -> Case:
        """Return the render of the base without a change."""
        case = scenario(self.scenario)
        values = kubeyaml.load(case.extra) if case.extra else {}
        return replace(case, name=name, extra=json.dumps(upstream.merge(values, self.extra), sort_keys=True))


class Override(_Strict):
    """How a path is changed where its schema does not tell: over which base, to which value, and with which other values."""

    base: str = ""
    value: object = None
    also: dict[str, object] = {}


class Plan(_Strict):
    """The content of tests/values-coverage.yaml."""

    bases: dict[str, Base]
    overrides: dict[str, Override]
    waivers: dict[str, str]


@dataclass(frozen=True)
class Change:
    """A path with its new value.

    It has an effect if one of ``traces`` appears in an object or, without traces, if any object differs. ``also`` are other paths that
    change with it. ``base`` is the one base for it; empty for every base that covers the path.
    """

    path: str
    value: object
    traces: tuple[str, ...] = ()
    also: tuple[tuple[str, object], ...] = ()
    base: str = ""

    def settings(self) -> tuple[str, ...]:
        """Return the values as arguments of ``--set-json``."""
        return tuple(f"{path}={json.dumps(value)}" for path, value in (*self.also, (self.path, self.value)))


@dataclass(frozen=True)
class Result:
    """The outcome of a change: the base over which it has an effect, or empty; and Helm's messages where it was refused."""

    change: Change
    base: str
    refusals: tuple[str, ...] = ()

    @property
    def has_effect(self) -> bool:
        """Whether the change has an effect over some base."""
        return bool(self.base)


def plan() -> Plan:
    """Return the plan of this checkout."""
    return Plan.model_validate(kubeyaml.load(FILE.read_text()))


def paths() -> dict[str, tuple[KubeObject, str]]:
    """Return every path that the schema lets a user set to more than one value, with its schema and the name of its definition."""
    built = schema.build()
    return {".".join(path): leaf for path, leaf in _leaves(built, built["definitions"], ())}


def _leaves(node: KubeObject, definitions: dict[str, KubeObject], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[KubeObject, str]]]:
    """Yield the paths below a node that are set as a whole. A Kubernetes type is one of them."""
    node, definition = schema.resolved(node, definitions)
    if path == MODEL_SPEC:
        yield from _leaves(definitions["modelSpec"], definitions, (*path[:-1], "modelSpec[0]"))
    elif len(path) == 2 and path[1] == "global":
        return  # Helm's copy of global, which users do not set
    elif "properties" in node and not definition[:1].isupper():
        for key, child in node["properties"].items():
            yield from _leaves(child, definitions, (*path, key))
    elif not schema.one_value(node):
        yield path, (node, definition)


def changes() -> list[Change]:
    """Return a change for each path without a waiver."""
    planned = plan()
    defaults = kubeyaml.load((CHART / "values.yaml").read_text()) | {name: upstream.values_of(name) for name in pins().charts}
    found = []
    for number, (path, (node, definition)) in enumerate(paths().items(), FIRST_NUMBER):
        if path in planned.waivers:
            continue
        override = planned.overrides.get(path, Override())
        traces: tuple[str, ...] = ()
        value = override.value
        if value is None:
            value, traces = another_value(node, definition, _at(defaults, path), number)
        found.append(Change(path, value, traces, tuple(override.also.items()), override.base))
    return found


def run(chart: Path = CHART, only: list[Change] | None = None) -> list[Result]:
    """Make the changes (by default all) over their bases, each until it has an effect. Renders of an unchanged chart come from the cache."""
    pending = changes() if only is None else list(only)
    results: list[Result] = []
    refusals: dict[str, list[str]] = {change.path: [] for change in pending}
    for name, base in plan().bases.items():
        here = [change for change in pending if change.base == name or (not change.base and base.covers(change.path))]
        for change, effect in _effects(here, base.case(name), chart):
            if isinstance(effect, RenderError):
                refusals[change.path].append(f"{name}: {effect}")
            elif effect:
                pending.remove(change)
                results.append(Result(change, name))
    return results + [Result(change, "", tuple(refusals[change.path])) for change in pending]


def _effects(here: list[Change], case: Case, chart: Path) -> Iterator[tuple[Change, bool | RenderError]]:
    """Yield each change and whether it has an effect over one base, or Helm's refusal.

    Raises RenderError if Helm refuses the base, or the changes that are made in one render.
    """
    batch = [change for change in here if change.traces and not change.also]
    batched = replace(case, json=tuple(setting for change in batch for setting in change.settings()))
    alone = {change.path: replace(case, json=change.settings()) for change in here if change not in batch}
    render_all([case, batched, *alone.values()], chart)
    before, after = _text(render(case, chart)), _text(render(batched, chart))
    for change in batch:
        yield change, any(trace in after and trace not in before for trace in change.traces)
    for change in here:
        if change.path in alone:
            try:
                yield change, _text(render(alone[change.path], chart)) != before
            except RenderError as error:
                yield change, error


def _text(objects: list[Object]) -> str:
    """Return all objects as text, without the values of Secrets, which are random in each render."""
    return json.dumps([item.body | {"data": sorted(item.body.get("data") or {})} if item.kind == "Secret" else item.body for item in objects], sort_keys=True)


def _at(values: object, path: str) -> object:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
