"""Every key that the values may have, with its default and description, in the sections of the reference documentation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from scout_chat.chart import upstream
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART
from scout_chat.core.pins import pins
from scout_chat.values import schema, wording

MODEL_SPEC = "vllm-stack.servingEngineSpec.modelSpec"
# The default of a key that the user must set.
REQUIRED = "required"


@dataclass(frozen=True)
class Key:
    """A key of the values.

    ``accepts`` says in words what its value may be. ``default`` is JSON, ``REQUIRED``, or empty if there is none. ``closed``: the key
    cannot be changed. ``in_values_yaml``: the chart's values.yaml sets it. ``is_group``: it only holds the keys below it.
    """

    path: str
    accepts: str
    default: str
    description: str
    examples: tuple[object, ...] = ()
    closed: bool = False
    in_values_yaml: bool = False
    is_group: bool = False


@dataclass(frozen=True)
class Section:
    """A heading of the reference with its keys."""

    title: str
    keys: list[Key]


def sections() -> list[Section]:
    """Return every key of the schema, in order: this chart's own, an engine's, then those of the two upstream charts."""
    built = schema.build()
    return [*_own_sections(built), *_engine_sections(built), *_upstream_sections(built)]


def _own_sections(built: KubeObject) -> Iterator[Section]:
    top, defaults, definitions = built["properties"], chart_defaults(), built["definitions"]
    for name in sorted(top.keys() - pins().charts.keys(), key=list(defaults).index):
        node, _ = schema.resolved(top[name], definitions)
        parts = _parts_of_global(node) if name == "global" else {name: node}
        for path, part in parts.items():
            if "properties" not in part:
                keys = _keys("", {"properties": {path: part}}, defaults, definitions)
            elif path == name:
                keys = _keys(path, part, defaults[name], definitions)
            else:
                keys = _keys(path, part, defaults[name][path.removeprefix("global.")], definitions)
            yield Section(f"{part['title']}: `{path}`" if "title" in part else f"`{path}`", list(keys))


def _parts_of_global(node: KubeObject) -> dict[str, KubeObject]:
    """Return the parts that have a section of their own: first the keys outside of groups, then each group."""
    groups = {key: child for key, child in node["properties"].items() if "properties" in child}
    single = {key: child for key, child in node["properties"].items() if key not in groups}
    return {"global": {"title": "The whole release", "properties": single}} | {f"global.{key}": child for key, child in groups.items()}


def _engine_sections(built: KubeObject) -> Iterator[Section]:
    definitions = built["definitions"]
    engine = definitions["modelSpec"]
    outside = {key: node for key, node in engine["properties"].items() if key != "vllmConfig"}
    yield Section(f"{engine['title']}: an item of `{MODEL_SPEC}`", list(_keys("", engine | {"properties": outside}, None, definitions)))
    arguments = engine["properties"]["vllmConfig"]
    yield Section("The arguments of an engine: its `vllmConfig`", list(_keys("vllmConfig", arguments, None, definitions)))


def _upstream_sections(built: KubeObject) -> Iterator[Section]:
    for name, pin in pins().charts.items():
        node = built["properties"][name]
        without_global = node | {"properties": {key: child for key, child in node["properties"].items() if key != "global"}}
        keys = _keys(name, without_global, upstream.values_of(name), built["definitions"])
        yield Section(f"The upstream chart {name} {pin.version}", list(keys))


def _keys(path: str, node: KubeObject, default: object, definitions: dict[str, KubeObject]) -> Iterator[Key]:
    """Yield the node itself if it has a description, then each key below it in the schema's order. Keys below a closed key are left out."""
    if path and node.get("description"):
        yield Key(path, "map", "", node["description"], is_group=True)
    required, defaults = node.get("required", []), default if isinstance(default, dict) else {}
    for name, child in node["properties"].items():
        below = f"{path}.{name}" if path else name
        resolved, definition = schema.resolved(child, definitions)
        closed = schema.one_value(resolved)
        if "properties" in resolved and not closed and not wording.is_one_value(definition):
            yield from _keys(below, resolved, defaults.get(name), definitions)
            continue
        shown = REQUIRED if name in required else json.dumps(defaults[name], ensure_ascii=False) if name in defaults else ""
        yield Key(
            below,
            wording.accepted(child, definitions),
            shown,
            resolved.get("description", ""),
            tuple(resolved.get("examples", [])),
            closed,
            in_values_yaml=below in _paths_in_values_yaml(),
        )


@cache
def chart_defaults() -> KubeObject:
    """Return the chart's values.yaml. The result is shared: do not change it."""
    defaults: KubeObject = kubeyaml.load((CHART / "values.yaml").read_text())
    return defaults


@cache
def _paths_in_values_yaml() -> set[str]:
    """Return the path of every key in the chart's values.yaml, maps included."""
    return set(_paths(chart_defaults()))


def _paths(values: KubeObject, path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from _paths(value, f"{path}{key}.")
