"""Read and write YAML as Helm and Kubernetes do, which is neither PyYAML's YAML 1.1 nor YAML 1.2.

The rules are those of go-yaml v2 as sigs.k8s.io/yaml uses it (resolve.go). ``y`` and ``off`` are booleans, ``0o17`` and ``0666`` are
octal, and ``1e3`` is a number; dates, ``12:30`` and ``=`` are strings. tests/static/test_kubeyaml.py compares the rules with Helm's parser.
"""

import re
from typing import Any

import yaml

# A Kubernetes object, a part of one, or any other mapping that YAML or JSON holds.
KubeObject = dict[str, Any]

_BOOL = {word: value for value, words in ((True, "y yes true on"), (False, "n no false off")) for word in words.split()}
_NULL = r"~|null|Null|NULL|"
_INT = r"[-+]?(?:0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)"
_FLOAT = r"[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_BOOLS = "|".join(form for word in _BOOL for form in (word, word.capitalize(), word.upper()))


class DuplicateKey(ValueError):
    """A mapping has the same key twice, and parsers differ in which of the two they take."""


class Loader(yaml.CSafeLoader):
    """PyYAML's safe C loader with Kubernetes' rules for scalars. A duplicate key is an error."""


Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in [
    ("bool", _BOOLS, "yYnNtTfFoO"),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("merge", "<<", "<"),
]:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _int(loader: Loader, node: yaml.ScalarNode) -> int:
    digits = node.value.replace("_", "")
    # Go reads a leading zero as octal; Python needs 0o.
    return int(re.sub(r"^([-+]?)0([0-7]+)$", r"\g<1>0o\2", digits), 0)


def _float(loader: Loader, node: yaml.ScalarNode) -> float | int | str:
    """Return a number as Kubernetes has it after JSON: 1e3 is the integer 1000. What overflows a float stays a string."""
    number: float = loader.construct_yaml_float(node)
    if number in (float("inf"), float("-inf")) and "inf" not in node.value.lower():
        return str(node.value)
    return int(number) if number == number and abs(number) < 2**53 and number.is_integer() else number


def _mapping(loader: Loader, node: yaml.MappingNode) -> KubeObject:
    keys = [key.value for key, _ in node.value]
    if len(set(keys)) < len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise DuplicateKey(f"duplicate keys: {', '.join(twice)}, line {node.start_mark.line + 1}")
    loader.flatten_mapping(node)
    # Keys are strings to Kubernetes: `y: 1` has the key "true".
    return {_key(loader.construct_object(key)): loader.construct_object(value, deep=True) for key, value in node.value}


def _key(key: object) -> str:
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    # Go writes infinity and NaN with YAML's dot.
    return str(key).replace("inf", ".inf").replace("nan", ".nan") if isinstance(key, float) else str(key)


Loader.add_constructor("tag:yaml.org,2002:bool", lambda loader, node: _BOOL[node.value.lower()])
Loader.add_constructor("tag:yaml.org,2002:int", _int)
Loader.add_constructor("tag:yaml.org,2002:float", _float)
Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
Loader.add_constructor("tag:yaml.org,2002:merge", lambda loader, node: node.value)  # as a value it is two characters


class _Dumper(yaml.CSafeDumper):
    """Quotes only the strings that Kubernetes would read as another type."""


_Dumper.yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


def dump(value: object) -> str:
    """Return YAML with sorted keys and unbroken lines. ``load`` and Kubernetes read the same value from it."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, width=10**6)


def load(text: str) -> Any:
    """Return the one document in ``text``. Raises DuplicateKey, and yaml.YAMLError for text that is not YAML."""
    return yaml.load(text, Loader)
