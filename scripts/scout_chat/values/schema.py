"""Build charts/scout-chat/values.schema.json from this chart's sources in schema/values and the keys of the pinned upstream charts.

Helm checks a parent chart's schema against the coalesced values, which include the subcharts' defaults. So the schema has every key to
which an upstream chart gives a default, and refuses every key that it does not have. It uses draft-07 only, on which Helm 3 and Helm 4
agree.
"""

import functools
import json
import re
from pathlib import Path

from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins
from scout_chat.values import kubernetes_types, upstream_keys

SOURCES = ROOT / "schema" / "values"
TARGET = CHART / "values.schema.json"
VLLM = CHART / "files" / "vllm.yaml"
# The keywords that stay in the file where a template checks a value's limits (x-in-template).
SHAPE = {"type", "description", "title", "properties", "additionalProperties", "items", "required", "$ref"}


def generated_files() -> dict[Path, str]:
    """Return the schema's file and its content."""
    return {TARGET: text()}


def text() -> str:
    """Return the content of values.schema.json: the built schema without limits whose violation a template explains (``x-in-template``)."""
    return json.dumps(_without_template_limits(build()), indent=1, ensure_ascii=False) + "\n"


def _without_template_limits(node: object) -> object:
    if isinstance(node, list):
        return [_without_template_limits(item) for item in node]
    if not isinstance(node, dict):
        return node
    words = node.get("x-in-template")
    if words == "any":
        return {key: value for key, value in node.items() if key in ("description", "title")}
    kept: KubeObject = {key: _without_template_limits(value) for key, value in node.items() if not key.startswith("x-") and (not words or key in SHAPE)}
    if worded := node.get("x-keys-in-template"):
        kept["properties"] |= {name: {} for name in worded}
    return kept


@functools.cache
def build() -> KubeObject:
    """Return the whole schema, with the limits that only the templates enforce. The result is shared: do not change it.

    The sources are schema/values, schema/upstream, the comments of the chart's values.yaml (descriptions) and Kubernetes' own types.
    """
    sources = {path.stem: kubeyaml.load(path.read_text()) for path in sorted(SOURCES.glob("*.yaml"))}
    vllm = kubeyaml.load(VLLM.read_text())
    definitions = sources.pop("definitions") | {"toolCallParser": {"enum": vllm["releases"][vllm["newest"]]["toolCallParsers"]}}
    properties: KubeObject = {}
    for name, source in sources.items():
        definitions |= source.pop("definitions", {})
        properties[name] = upstream_keys.merged(name, source) if name in pins().charts else source
    root: KubeObject = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Generated from schema/ by `scout-chat generate`. Do not edit.",
        "title": "Values of scout-chat",
        "type": "object",
        "properties": properties,
    }
    _add_descriptions(root, comments((CHART / "values.yaml").read_text()))
    root = _closed(root)
    root["definitions"] = _referenced(root, {name: _closed(body) for name, body in definitions.items()})
    return root


def comments(values: str) -> dict[tuple[str, ...], str]:
    """Return the comment above each key of a values.yaml, or behind it on the line, as one line, by the key's path."""
    found: dict[tuple[str, ...], str] = {}
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in values.splitlines():
        if comment := re.match(r"\s*# ?(.*)", line):
            above.append(comment[1])
        elif key := re.match(r"(\s*)([\w-]+):(?:.*?\s# (.*))?", line):
            path = [(indent, name) for indent, name in path if indent < len(key[1])] + [(len(key[1]), key[2])]
            if comment_text := " ".join([*above, *filter(None, [key[3]])]):
                found[tuple(name for _, name in path)] = comment_text
            above = []
        else:
            above = []
    return found


def _add_descriptions(node: KubeObject, descriptions: dict[tuple[str, ...], str], path: tuple[str, ...] = ()) -> None:
    """Describe each key that the sources do not describe."""
    for key, child in node.get("properties", {}).items():
        if (*path, key) in descriptions:
            child.setdefault("description", descriptions[(*path, key)])
        _add_descriptions(child, descriptions, (*path, key))


def _closed(node: KubeObject) -> KubeObject:
    """Return the node with objects that accept only their own properties.

    In draft-07 a reference hides every keyword beside it, so it moves into ``allOf`` where the node has others.
    """
    closed: KubeObject = {key: value for key, value in node.items() if not key.startswith("x-") or key in ("x-in-template", "x-keys-in-template")}
    if "$ref" in closed and closed.keys() - {"$ref", "description", "title", "examples", "x-in-template"}:
        closed["allOf"] = [{"$ref": closed.pop("$ref")}, *closed.get("allOf", [])]
    if "properties" in closed:
        properties = {key: _closed(child) for key, child in closed["properties"].items()}
        closed = {"type": "object", **closed, "properties": properties, "additionalProperties": closed.get("additionalProperties", False)}
    for key in ("items", "additionalProperties"):
        if isinstance(closed.get(key), dict):
            closed[key] = _closed(closed[key])
    if "anyOf" in closed and "properties" not in closed:
        closed["anyOf"] = [_closed(child) for child in closed["anyOf"]]
    return closed


def _referenced(root: KubeObject, own: dict[str, KubeObject]) -> dict[str, KubeObject]:
    """Return the definitions to which the schema refers, directly or through others, by name. Those that are not ours are Kubernetes'."""
    definitions: dict[str, KubeObject] = {}
    waiting = [root]
    while waiting:
        for name in re.findall(r'"\$ref": "#/definitions/([^"]+)"', json.dumps(waiting.pop())):
            if name not in definitions:
                definitions[name] = own[name] if name in own else kubernetes_types.definition(name)
                waiting.append(definitions[name])
    return dict(sorted(definitions.items()))


def resolved(node: KubeObject, definitions: dict[str, KubeObject]) -> tuple[KubeObject, str]:
    """Return the node merged over the definition to which it refers, and that definition's name, or "" without a reference.

    The name of a Kubernetes type begins with a capital, that of an own definition does not.
    """
    name = next((part["$ref"] for part in (node, *node.get("allOf", [])) if "$ref" in part), "").rpartition("/")[2]
    return ({**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}, name) if name else (node, "")


def one_value(node: KubeObject) -> bool:
    """Return whether the schema accepts only one value, or none."""
    if "properties" in node:
        return all(one_value(child) for child in node["properties"].values())
    return "const" in node or 0 in (node.get("maxLength"), node.get("maxItems")) or node.get("not") == {}
