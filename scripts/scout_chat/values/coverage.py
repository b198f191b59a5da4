"""Whether a value does anything: each path that the schema accepts is changed once, and some rendered object must change with it.

A value that is text or a large number is given one that occurs nowhere else, and many are changed in one render: where the new value
turns up, the path is alive. A switch or a choice has no such value and is changed alone. tests/values-coverage.yaml says over which scenarios
this is done, and what must go with a change so that the chart accepts it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from scout_chat.chart import upstream
from scout_chat.chart.render import Case, Object, RenderError, render, render_all
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins
from scout_chat.values import schema

FILE = ROOT / "tests" / "values-coverage.yaml"
MODEL = ("vllm-stack", "servingEngineSpec", "modelSpec[0]")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Base(_Strict):
    """A scenario with more switched on, over which paths are changed: those that begin with ``only`` and with none of ``skip``."""

    over: str
    extra: dict = {}
    only: str = ""
    skip: list[str] = []

    def takes(self, path: str) -> bool:
        return path.startswith(self.only) and not any(path.startswith(prefix) for prefix in self.skip)

    def case(self, name: str) -> Case:
        case = scenario(self.over)
        values = kubeyaml.load(case.extra) if case.extra else {}
        return replace(case, name=name, extra=json.dumps(upstream.merge(values, self.extra), sort_keys=True))


class Probe(_Strict):
    """How a path is changed where its schema does not tell: over which base, to what, and together with what."""

    base: str = ""
    value: object = None
    together: dict[str, object] = {}


class Plan(_Strict):
    bases: dict[str, Base]
    probes: dict[str, Probe]
    waivers: dict[str, str]


@dataclass(frozen=True)
class Change:
    """One path, its new value, and the texts of which one must turn up (none: any difference will do)."""

    path: str
    value: object
    traces: tuple[str, ...] = ()
    together: tuple[tuple[str, object], ...] = ()
    base: str = ""

    def settings(self) -> tuple[str, ...]:
        return tuple(f"{path}={json.dumps(value)}" for path, value in (*self.together, (self.path, self.value)))


def plan() -> Plan:
    return Plan.model_validate(kubeyaml.load(FILE.read_text()))


def paths() -> dict[str, dict]:
    """Every path that the schema lets a user set to more than one value, and its schema."""
    built = schema.build()
    return {".".join(path): node for path, node in _leaves(built, built["definitions"], ())}


def _leaves(node: dict, definitions: dict, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict]]:
    """A leaf carries the name of its definition as ``kind``; a type of Kubernetes' is a leaf, whatever it holds."""
    node, kind = schema.resolved(node, definitions)
    if path == (*MODEL[:2], "modelSpec"):
        yield from _leaves(definitions["modelSpec"], definitions, MODEL)
    elif len(path) == 2 and path[1] == "global":
        return  # Helm's copy of global, not for a user to set
    elif "properties" in node and not kind[:1].isupper():
        for key, child in node["properties"].items():
            yield from _leaves(child, definitions, (*path, key))
    elif not schema.one_value(node):
        yield path, node | {"kind": kind}


def changes() -> list[Change]:
    """A change for each path that is not waived."""
    wanted = plan()
    defaults = kubeyaml.load((CHART / "values.yaml").read_text()) | {name: upstream.values_of(name) for name in pins().charts}
    found = []
    for number, (path, node) in enumerate(paths().items()):
        if path in wanted.waivers:
            continue
        probe = wanted.probes.get(path, Probe())
        default = _at(defaults, path)
        value, traces = (probe.value, ()) if probe.value is not None else changed(node, default, 20000 + number)
        found.append(Change(path, value, traces, tuple(probe.together.items()), probe.base))
    return found


def changed(node: dict, default: object, number: int) -> tuple[object, tuple[str, ...]]:
    """Another value that the schema accepts, and the texts that betray it; no texts if it has nothing of its own."""
    mark = f"live{number}"
    kind = node.get("kind", "")
    items = node.get("items", {})
    if node.get("type") == "array" and "$ref" in items:
        kind = items["$ref"].rpartition("/")[2] + "[]"
    if kind in SAMPLES:
        text = SAMPLES[kind].replace("MARK", mark).replace("NUMBER", str(number))
        value = json.loads(text)
        value = [*(default or []), *value] if isinstance(value, list) else value
        return value, (mark, str(number))
    if choices := node.get("enum"):
        return next(choice for choice in choices if choice != default), ()
    kinds = node.get("type", "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "boolean" in kinds:
        return not default, ()
    if "integer" in kinds or "number" in kinds:
        low, high = node.get("minimum", 0), node.get("maximum", 10**6)
        if high > number and "integer" in kinds:
            return number, (str(number),)
        return (low + 1 if default != low + 1 else low + 2) if "integer" in kinds else round((low + high) / 2 + 0.125, 3), ()
    if "array" in kinds:
        if choices := items.get("enum"):
            return [next(choice for choice in choices if [choice] != default)], ()
        item = {"object": {mark: mark}, "integer": number}.get(items.get("type", ""), mark)
        return [item], (mark, str(number))
    if "object" in kinds:
        return {mark: mark}, (mark,)
    for form in FORMS:
        text = form.replace("MARK", mark).replace("NUMBER", str(number))
        if re.search(node.get("pattern", ""), text) and len(text) <= node.get("maxLength", 10**6):
            return text, (text,)
    raise ValueError(f"no value for {node}")


# What text may have to look like.
FORMS = ("MARK", "https://MARK.example.org", "MARK@example.org", "rediss://MARK:6379", "NUMBERs", "NUMBER", "/MARK")
# By the type's name: a value with MARK or NUMBER in it. [] is a list of that type, appended to the default.
SAMPLES = {
    "labels": '{"MARK": "MARK"}',
    "annotations": '{"MARK": "MARK"}',
    "arguments": '["--MARK"]',
    "engineArguments": '["--MARK"]',
    "arguments[]": '["--MARK"]',
    "quantity": '"NUMBERMi"',
    "count": "NUMBER",
    "imageTag": '"MARK"',
    "secretReference": '{"secretName": "MARK", "secretKey": "MARK"}',
    "anyObject[]": '[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "MARK"}}]',
    "Affinity": '{"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "MARK"}]}}',
    "Container[]": '[{"name": "MARK", "image": "example.org/MARK:1"}]',
    "DeploymentStrategy": '{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": NUMBER}}',
    "EnvFromSource[]": '[{"secretRef": {"name": "MARK"}}]',
    "EnvVar[]": '[{"name": "LIVENUMBER", "value": "MARK"}]',
    "HostAlias[]": '[{"ip": "127.0.0.1", "hostnames": ["MARK"]}]',
    "LabelSelector": '{"matchLabels": {"MARK": "MARK"}}',
    "LocalObjectReference[]": '[{"name": "MARK"}]',
    "NetworkPolicyEgressRule[]": '[{"to": [{"podSelector": {"matchLabels": {"MARK": "MARK"}}}]}]',
    "NetworkPolicyPeer[]": '[{"podSelector": {"matchLabels": {"MARK": "MARK"}}}]',
    "NodeSelectorTerm[]": '[{"matchExpressions": [{"key": "MARK", "operator": "Exists"}]}]',
    "PodSecurityContext": '{"runAsUser": NUMBER}',
    "Probe": '{"httpGet": {"path": "/MARK", "port": 8000}}',
    "ResourceRequirements": '{"requests": {"cpu": "NUMBERm"}}',
    "SecurityContext": '{"runAsUser": NUMBER}',
    "ServicePort[]": '[{"name": "MARK", "port": NUMBER}]',
    "Toleration[]": '[{"key": "MARK", "operator": "Exists"}]',
    "TopologySpreadConstraint[]": '[{"maxSkew": 1, "topologyKey": "MARK", "whenUnsatisfiable": "ScheduleAnyway"}]',
    "Volume[]": '[{"name": "MARK", "emptyDir": {}}]',
    "VolumeMount[]": '[{"name": "MARK", "mountPath": "/MARK"}]',
    "EmptyDirVolumeSource": '{"sizeLimit": "NUMBERMi"}',
}


@dataclass(frozen=True)
class Verdict:
    """``alive``: the base over which the path changes an object, or empty; ``refusals``: what Helm said where it was refused."""

    change: Change
    alive: str
    refusals: tuple[str, ...] = ()


def run(chart: Path = CHART, only: list[Change] | None = None) -> list[Verdict]:
    """Every change over the bases that it is for, until one shows it. Renders come from the cache where the chart is unchanged."""
    wanted = plan()
    pending = changes() if only is None else list(only)
    verdicts: list[Verdict] = []
    refusals: dict[str, list[str]] = {change.path: [] for change in pending}
    for name, base in wanted.bases.items():
        case = base.case(name)
        here = [change for change in pending if change.base == name or (not change.base and base.takes(change.path))]
        marked = [change for change in here if change.traces and not change.together]
        together = replace(case, json=tuple(setting for change in marked for setting in change.settings()))
        alone = {change.path: replace(case, json=change.settings()) for change in here if change not in marked}
        render_all([case, together, *alone.values()], chart)
        before, after = _text(render(case, chart)), _text(render(together, chart)) if marked else ""
        for change in here:
            try:
                if change.path in alone:
                    alive = _text(render(alone[change.path], chart)) != before
                else:
                    alive = any(trace in after and trace not in before for trace in change.traces)
            except RenderError as error:
                refusals[change.path].append(f"{name}: {error}")
                alive = False
            if alive:
                pending.remove(change)
                verdicts.append(Verdict(change, name))
    return verdicts + [Verdict(change, "", tuple(refusals[change.path])) for change in pending]


def _text(objects: list[Object]) -> str:
    """All objects as text; what is random at each render left out."""
    return json.dumps([item.body | {"data": sorted(item.body.get("data") or {})} if item.kind == "Secret" else item.body for item in objects], sort_keys=True)


def _at(values: object, path: str) -> object:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
