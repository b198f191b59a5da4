"""What a value may be, in words: its type, its limits and its pattern, for the reference documentation."""

import json

from scout_chat.core.kubeyaml import KubeObject
from scout_chat.values import schema

# A constant longer than this, in characters of JSON, is not shown.
LONG = 100
# With more choices than this, only their number is shown.
MANY = 12

# The definitions of schema/values/definitions.yaml for which words say more than their type and pattern.
DEFINITIONS = {
    "annotations": "map of strings",
    "anyObject": "Kubernetes object",
    "arguments": "list of strings, one argument per item",
    "engineArguments": "list of strings, one argument per item",
    "configMapName": "name of a ConfigMap",
    "count": "integer of 1 or more; a million or more in quotes",
    "imageTag": "string, not a moving tag such as `latest`",
    "labels": "map of strings",
    "modelSpec": "engines",
    "quantity": "Kubernetes quantity (`500m`, `16Gi`)",
    "secretKey": "key in a Secret",
    "secretName": "name of a Secret",
    "toolCallParser": "a tool call parser of vLLM (`charts/scout-chat/files/vllm.yaml` lists them)",
}
PATTERNS = {
    r"^$|^https?://[^/ ]+/[^ ]*$": "an http(s) URL with a path, or empty",
    r"^$|^https?://[^/ ]+/?$": "an http(s) URL without a path, or empty",
    r"^$|^https://[^ ]+[^/ ]$": "an https URL without a trailing slash, or empty",
    r"^$|^http://[^/@ ]+:[0-9]+/?$": "an http URL with a port and without a password, or empty",
    r"^$|^rediss?://[^@]*$": "a Redis URL without a password, or empty",
    r"^[A-Za-z0-9-]+$": "letters, digits and dashes",
    r"^[A-Za-z0-9-]*$": "letters, digits and dashes, or empty",
    r"(^| )openid( |$)": "containing the word `openid`",
    r"^[^@ ]+@[^@ ]+$": "an email address",
    r"^[^,]+$": "without a comma",
    r"^[^ ]+$": "without a space",
    r"^[^ ]*$": "without a space, or empty",
    r"^[^/ ]+$": "a file name",
    r"^/": "an absolute path",
    r"^$|^[a-z]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and dashes, or empty",
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and dashes, starting with a letter",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and dashes",
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "lower-case letters, digits, dashes and dots",
    r"^[a-z0-9*]([-a-z0-9.]*[a-z0-9])?$": "a host name",
    r"^[-._a-zA-Z0-9]+$": "letters, digits, dashes, dots and underscores",
    r"^[-._a-zA-Z0-9]*$": "letters, digits, dashes, dots and underscores, or empty",
    r"^[0-9]+%?$": "a number or a percentage",
    r"^[1-9][0-9]*%?$": "a number or a percentage, not 0",
    r"^([0-9]+(ms|s|m|h))+$": "a duration (`30s`)",
    r"^([1-9][0-9]*[smhdw])+$": "a duration (`12h`)",
    r"^[0-9]+(\.[0-9]+)?(M|G|T|Mi|Gi|Ti)$": "a size with its unit (`200Gi`)",
    r"^[^ ]+(:[^:/ ]+|@sha256:[0-9a-f]{64})$": "an image with its tag or digest",
    r"^nvidia\.com/mig-[0-9]+g\.[0-9]+gb(\.me)?$": "a MIG slice (`nvidia.com/mig-3g.40gb`)",
}


def is_one_value(definition: str) -> bool:
    """Return whether a definition is documented as one value, not key by key: a Kubernetes type, or one in ``DEFINITIONS``."""
    return definition[:1].isupper() or definition in DEFINITIONS


def accepted(node: KubeObject, definitions: dict[str, KubeObject]) -> str:
    """Return what the schema's node accepts, in words."""
    resolved, name = schema.resolved(node, definitions)
    if name[:1].isupper():
        return f"*{name}*"
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    if "properties" in resolved and schema.one_value(resolved):
        return "map"
    if "const" in resolved:
        constant = json.dumps(resolved["const"])
        return f"`{constant}`" if len(constant) < LONG else "the default only"
    if resolved.get("not") == {}:
        return "must not be set"
    if "enum" in resolved:
        return _choices(resolved["enum"])
    if "anyOf" in resolved and "type" not in resolved:
        return "; or ".join(accepted(part, definitions) for part in resolved["anyOf"])
    return ", ".join([_type(resolved, definitions), *_limits(resolved)])


def _type(node: KubeObject, definitions: dict[str, KubeObject]) -> str:
    if node.get("maxLength") == 0:
        return '`""`'
    types = node.get("type", "any")
    names = [{"object": "map"}.get(kind, kind) for kind in ([types] if isinstance(types, str) else types) if kind != "null"]
    if "array" in names:
        if node.get("maxItems") == 0:
            return "`[]`"
        return f"list of {_plural(accepted(node['items'], definitions))}" if node.get("items") else "list"
    if "map" in names and isinstance(node.get("additionalProperties"), dict):
        return f"map of {_plural(accepted(node['additionalProperties'], definitions))}"
    return " or ".join(names)


def _limits(node: KubeObject) -> list[str]:
    if node.get("maxLength") == 0:
        return []
    low, high, above = node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum")
    limits = [f"{low} to {high}"] if low is not None and high is not None else [f"{low} or more"] if low is not None else []
    limits += [f"more than {above}"] if above is not None else []
    limits += [f"at most {high}"] if high is not None and low is None else []
    if pattern := node.get("pattern"):
        limits.append(PATTERNS.get(pattern, f"`{pattern}`"))
    elif node.get("minLength"):
        limits.append("not empty")
    if node.get("maxLength") is not None:
        limits.append(f"at most {node['maxLength']} characters")
    limits += ["at least one"] if node.get("minItems") or node.get("minProperties") else []
    return limits


def _choices(values: list[object]) -> str:
    if len(values) > MANY:
        return f"one of {len(values)} choices"
    words = [f"`{value if isinstance(value, str) and value else json.dumps(value)}`" for value in values]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _plural(accepted_item: str) -> str:
    word, comma, limits = accepted_item.partition(", ")
    if word not in ("string", "integer", "map", "list"):
        return accepted_item
    return f"{word}s" + (f" ({limits})" if comma else "")
