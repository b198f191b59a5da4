"""The schema of an upstream chart's values: every key that the chart has, with our source in schema/values merged over it.

Upstream charts have no schema, so a key takes its type from its default (chart/upstream.py records the keys). In a source, ``x-frozen``
with a reason closes a key and all below it: each may only have the value that this chart gives it.
"""

from scout_chat.chart import upstream
from scout_chat.core.kubeyaml import KubeObject


def merged(chart: str, source: KubeObject) -> KubeObject:
    """Return the schema of the chart's values."""
    record = upstream.recorded(chart)
    keys = _typed(record["values"])
    for path in record["reads"]:
        _put(keys, path.split("."), {})
    # Helm gives every subchart a copy of global.
    keys["properties"]["global"] = {"type": "object"}
    for path in record["unread"]:
        _put(keys, path.split("."), {"x-frozen": "No template reads it."})
    return _merge(keys, source, upstream.values_of(chart))


def _typed(default: object) -> KubeObject:
    """Return the schema of values of the same type as a default."""
    if isinstance(default, dict):
        return {"type": "object", "properties": {key: _typed(value) for key, value in default.items()}} if default else {"type": "object"}
    if isinstance(default, list):
        kinds = {_typed(item)["type"] for item in default}
        return {"type": "array", "items": {"type": kinds.pop()}} if len(kinds) == 1 else {"type": "array"}
    names: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": names[type(default)]} if default is not None else {}


def _put(node: KubeObject, path: list[str], body: KubeObject) -> None:
    for part in path[:-1]:
        node = node.setdefault("properties", {}).setdefault(part, {"type": "object"})
    node.setdefault("properties", {})[path[-1]] = body


def _merge(keys: KubeObject, source: KubeObject, values: object) -> KubeObject:
    """Merge a source over the chart's keys, key by key. ``values`` are this chart's defaults at the same place."""
    if "x-frozen" in source or "x-frozen" in keys:
        frozen = _frozen(values) | {"description": source.get("x-frozen") or keys.get("x-frozen", "")}
        for path in source.get("x-in-template", []):
            leaf = frozen
            for part in path.split("."):
                leaf = leaf["properties"][part]
            leaf |= {"type": "boolean", "x-in-template": True}
        return frozen
    if "$ref" in source or "anyOf" in source or "const" in source or "enum" in source:
        return source
    merged = keys | {key: value for key, value in source.items() if key != "properties"}
    below, ours = keys.get("properties", {}), source.get("properties", {})
    if below or ours:
        inner = values if isinstance(values, dict) else {}
        merged["properties"] = {key: _merge(below.get(key, {}), ours.get(key, {}), inner.get(key)) for key in {**below, **ours}}
    return merged


def _frozen(value: object) -> KubeObject:
    """Return the schema that accepts this value only. A key whose value is null or absent accepts only null."""
    if isinstance(value, dict) and value:
        return {"type": "object", "properties": {key: _frozen(child) for key, child in value.items()}}
    return {"const": value}
