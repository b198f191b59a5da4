"""Writes charts/scout-chat/values.schema.json: closed, from this chart's own sources and a mirror of the pinned upstream charts' values.

Helm checks a parent's schema on the coalesced values, the subcharts' defaults included, so the mirror must know every key that an
upstream chart gives a default, and then refuses every other. Only draft-07 is used, for which Helm 3 and Helm 4 agree.
"""

import functools
import json
import re
from pathlib import Path

from scout_chat.chart import kubernetes, upstream
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins

SOURCES = ROOT / "schema" / "values"
TARGET = CHART / "values.schema.json"
VLLM = CHART / "files" / "vllm.yaml"
# Where a type of Kubernetes' that a source names is looked for.
GROUPS = ("io.k8s.api.core.v1.", "io.k8s.api.apps.v1.", "io.k8s.api.networking.v1.")
# Keys of a security context that an administrator may have to remove with null, where the cluster assigns them (OpenShift).
NULLABLE = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seccompProfile"}
# Keywords that a value may have beside a limit that the templates explain.
SHAPE = {"type", "description", "title", "properties", "additionalProperties", "items", "required"}


def text() -> str:
    """The schema as the file must hold it: without the limits that the templates explain better than Helm would (``x-words``)."""
    return json.dumps(_unexplained(build()), indent=1, ensure_ascii=False) + "\n"


def _unexplained(node: object) -> object:
    if isinstance(node, list):
        return [_unexplained(item) for item in node]
    if not isinstance(node, dict):
        return node
    words = node.get("x-words")
    if words == "any":
        return {key: value for key, value in node.items() if key in ("description", "title")}
    kept = {key: _unexplained(value) for key, value in node.items() if not key.startswith("x-") and (not words or key in SHAPE or key == "$ref")}
    if worded := node.get("x-worded"):
        kept["properties"] = kept["properties"] | {name: {} for name in worded}
    return kept


@functools.cache
def build() -> dict:
    """The schema (to read, not to change), from schema/values, schema/upstream, the chart's values.yaml (descriptions) and Kubernetes' own types."""
    sources = {path.stem: kubeyaml.load(path.read_text()) for path in sorted(SOURCES.glob("*.yaml"))}
    definitions = sources.pop("definitions") | {"toolCallParser": {"enum": kubeyaml.load(VLLM.read_text())["toolCallParsers"]}}
    properties = {}
    for name, source in sources.items():
        definitions |= source.pop("definitions", {})
        properties[name] = _mirror(name, source) if name in pins().charts else source
    root = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Generated from schema/ by `scout-chat generate`. Do not edit.",
        "title": "Values of scout-chat",
        "type": "object",
        "properties": properties,
    }
    _describe(root, comments((CHART / "values.yaml").read_text()))
    root = _closed(root)
    root["definitions"] = _needed(root, {name: _closed(body) for name, body in definitions.items()})
    return root


def comments(values: str) -> dict[tuple[str, ...], str]:
    """Path of a key in values.yaml to the comment above it or behind it, as one line."""
    found: dict[tuple[str, ...], str] = {}
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in values.splitlines():
        if comment := re.match(r"\s*# ?(.*)", line):
            above.append(comment[1])
        elif key := re.match(r"(\s*)([\w-]+):(?:.*?\s# (.*))?", line):
            path = [(indent, name) for indent, name in path if indent < len(key[1])] + [(len(key[1]), key[2])]
            if said := " ".join([*above, *filter(None, [key[3]])]):
                found[tuple(name for _, name in path)] = said
            above = []
        else:
            above = []
    return found


def _mirror(chart: str, source: dict) -> dict:
    """Every key of the chart, typed by its default, with our source laid over it."""
    record, values = upstream.recorded(chart), upstream.values_of(chart)
    mirrored = _typed(record["values"])
    for path in record["reads"]:
        _put(mirrored, path.split("."), {})
    # Helm hands every subchart a copy of global.
    mirrored["properties"]["global"] = {"type": "object"}
    for path in record["unread"]:
        _put(mirrored, path.split("."), {"x-frozen": "No template reads it."})
    return _laid_over(mirrored, source, values)


def _typed(default: object) -> dict:
    if isinstance(default, dict):
        return {"type": "object", "properties": {key: _typed(value) for key, value in default.items()}} if default else {"type": "object"}
    if isinstance(default, list):
        kinds = {_typed(item)["type"] for item in default}
        return {"type": "array", "items": {"type": kinds.pop()}} if len(kinds) == 1 else {"type": "array"}
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": names[type(default)]} if default is not None else {}


def _put(node: dict, path: list[str], body: dict) -> None:
    for part in path[:-1]:
        node = node.setdefault("properties", {}).setdefault(part, {"type": "object"})
    node.setdefault("properties", {})[path[-1]] = body


def _laid_over(node: dict, source: dict, values: object) -> dict:
    """The source wins; below ``properties`` both go on. ``x-frozen`` holds a whole subtree at this chart's defaults."""
    if "x-frozen" in source or "x-frozen" in node:
        frozen = _frozen(values) | {"description": source.get("x-frozen") or node.get("x-frozen", "")}
        for path in source.get("x-words", []):
            leaf = frozen
            for part in path.split("."):
                leaf = leaf["properties"][part]
            leaf |= {"type": "boolean", "x-words": True}
        return frozen
    if "$ref" in source or "anyOf" in source or "const" in source or "enum" in source:
        return source
    merged = node | {key: value for key, value in source.items() if key != "properties"}
    keys = {**node.get("properties", {}), **source.get("properties", {})}
    if keys:
        inner = values if isinstance(values, dict) else {}
        merged["properties"] = {
            key: _laid_over(node.get("properties", {}).get(key, {}), source.get("properties", {}).get(key, {}), inner.get(key)) for key in keys
        }
    return merged


def _frozen(value: object) -> dict:
    """Each leaf may have the value that it has. A key without a value may not be set at all."""
    if isinstance(value, dict) and value:
        return {"type": "object", "properties": {key: _frozen(child) for key, child in value.items()}}
    return {"const": value}


def _describe(node: dict, said: dict[tuple[str, ...], str], path: tuple[str, ...] = ()) -> None:
    for key, child in node.get("properties", {}).items():
        if (*path, key) in said:
            child.setdefault("description", said[(*path, key)])
        _describe(child, said, (*path, key))


def _closed(node: dict) -> dict:
    """Objects with properties take no others. A reference stands alone in draft-07, so what is beside one goes into allOf."""
    node = {key: value for key, value in node.items() if not key.startswith("x-") or key in ("x-words", "x-worded")}
    if "$ref" in node and node.keys() - {"$ref", "description", "title", "examples", "x-words"}:
        node["allOf"] = [{"$ref": node.pop("$ref")}, *node.get("allOf", [])]
    if "properties" in node:
        node = {"type": "object"} | node | {"additionalProperties": node.get("additionalProperties", False)}
        node["properties"] = {key: _closed(child) for key, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _closed(node[key])
    if "anyOf" in node and "properties" not in node:
        node["anyOf"] = [_closed(child) for child in node["anyOf"]]
    return node


def _needed(root: dict, own: dict[str, dict]) -> dict[str, dict]:
    """The definitions that the schema refers to, and those that they refer to, sorted."""
    definitions: dict[str, dict] = {}
    waiting = [root]
    while waiting:
        for name in re.findall(r'"\$ref": "#/definitions/([^"]+)"', json.dumps(waiting.pop())):
            if name not in definitions:
                definitions[name] = own[name] if name in own else _kubernetes(name)
                waiting.append(definitions[name])
    return dict(sorted(definitions.items()))


def _kubernetes(name: str) -> dict:
    """Kubernetes' own type, strict, without its prose; references by the last part of the type's name."""
    types = kubernetes.definitions(pins().kubernetes[0])
    (full,) = [group + name for group in GROUPS if group + name in types] or [key for key in types if key.endswith(f".{name}")][:1]

    def plain(node: object) -> object:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        if reference := node.get("$ref"):
            # Quantity is anything with digits to Kubernetes' schema; ours knows the units.
            kind = reference.rsplit(".", 1)[1]
            return {"$ref": f"#/definitions/{'quantity' if kind == 'Quantity' else kind}"}
        kept = {key: plain(value) for key, value in node.items() if key not in ("description", "format", "default") and not key.startswith("x-")}
        if isinstance(node.get("type"), list):
            # A null deletes the key on its way through Helm.
            kept["type"] = node["type"][0]
        if name in ("PodSecurityContext", "SecurityContext") and "properties" in kept:
            kept["properties"] |= {key: {"anyOf": [child, {"type": "null"}]} for key, child in kept["properties"].items() if key in NULLABLE}
        return kept

    return plain(types[full])


def resolved(node: dict, definitions: dict[str, dict]) -> tuple[dict, str]:
    """The node with the definition that it refers to laid under it, and that definition's name; a capital names a type of Kubernetes'."""
    name = next((part["$ref"] for part in (node, *node.get("allOf", [])) if "$ref" in part), "").rpartition("/")[2]
    return ({**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}, name) if name else (node, "")


def one_value(node: dict) -> bool:
    """Whether the schema leaves one value only, or none."""
    if "properties" in node:
        return all(one_value(child) for child in node["properties"].values())
    return "const" in node or 0 in (node.get("maxLength"), node.get("maxItems")) or node.get("not") == {}


def generated_files() -> dict[Path, str]:
    """The generated file of the schema as it must be."""
    return {TARGET: text()}
