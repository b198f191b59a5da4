"""Two Kubernetes objects compared as trees: paths as a person writes them, lists by name, secrets veiled.

What is the same to Kubernetes is no difference: null and absent, an empty list and none, ``1`` and ``1000m``.
"""

import base64
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal

import yaml

# What names an item of a list, as far as each item has it and no two share it.
_MERGE_KEYS = ("name", "containerPort", "port", "mountPath", "devicePath", "key", "topologyKey", "host", "ip")
# An empty one of these is the same as none.
_MAPS = ("labels", "annotations", "data", "binaryData")
# The chat's environment: a ConfigMap named by its hash.
ENVIRONMENT = re.compile(r"(-webui-env-)([0-9a-f]{10})\b")

HIDDEN = "(hidden)"
_SALT = os.urandom(16)
_SECRET_NAME = re.compile(r"(?i)passw|secret|credential|(api|private)[-_]?key(?!s)|token(?!s|i)")
_VEIL = re.compile(r"\(hidden [0-9a-f]{16}\)")


def plain(body: dict) -> dict:
    """The object as it is compared: what Kubernetes takes for absent is absent, secrets are veiled, the environment has one name."""
    body = dict(body)
    body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "namespace"}
    if body["kind"] == "Secret":
        # The API server does the same with stringData.
        given = {key: base64.b64encode(str(value).encode()).decode() for key, value in (body.pop("stringData", None) or {}).items()}
        body["data"] = {key: _veiled(value) for key, value in ((body.get("data") or {}) | given).items()}
    return _tidy(body)


def _tidy(value: object, name: str = "") -> object:
    if isinstance(value, dict):
        # An entry of an environment is {name, value}; a flag is named by the item before it.
        named = str(value["name"]) if isinstance(value.get("name"), str) and "value" in value else ""
        tidy = {str(key): _tidy(child, named if key == "value" else str(key)) for key, child in value.items()}
        return {key: child for key, child in tidy.items() if child is not None and child != [] and (child != {} or key not in _MAPS)}
    if isinstance(value, list):
        flags = ["", *(item if isinstance(item, str) and item.startswith("--") else "" for item in value)]
        return [_tidy(item, flag) for item, flag in zip(value, flags, strict=False)]
    if isinstance(value, str):
        flag, equals, given = value.partition("=")
        if equals and flag.startswith("--") and _SECRET_NAME.search(flag):
            return f"{flag}={_veiled(given)}"
        if _SECRET_NAME.search(name) and re.match(r"--|[A-Z]", name) and not re.fullmatch(r"(?i)true|false|\d*|--.*", value):
            return _veiled(value)
        value = re.sub(r"(?<=://)([^/\s:@]*):([^/\s@]+)@", lambda found: f"{found[1]}:{_veiled(found[2])}@", value)
        return ENVIRONMENT.sub(r"\1*", value)
    return value


def _veiled(value: object) -> str:
    """A stand-in that is equal for equal values in this process and tells nothing about them."""
    text = str(value)
    return text if _VEIL.fullmatch(text) else f"(hidden {hashlib.sha256(_SALT + text.encode()).hexdigest()[:16]})"


def shown(value: object, other: object = None) -> str | None:
    """The value as a report shows it beside ``other``: a scalar as it is, a structure as YAML; None for absent."""
    if value is None:
        return None
    if isinstance(value, str):
        # "15" became 15: the quotes are the difference.
        text = value if value and (other is None or isinstance(other, str)) else json.dumps(value)
    elif isinstance(value, dict | list):
        flow, block = (yaml.safe_dump(value, default_flow_style=style, width=10**6, allow_unicode=True).strip() for style in (True, False))
        text = flow if len(flow) <= 120 else block
    else:
        text = json.dumps(value)
    # What steers a terminal, or turns the direction of writing, is shown and not obeyed.
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", lambda found: f"\\x{ord(found[0]):02x}", text)
    return _VEIL.sub(HIDDEN, text)


def quantity(value: object) -> Decimal | None:
    """A Kubernetes quantity (``1.5Gi``, ``250m``, ``2``) as a number; None for what is none."""
    found = re.fullmatch(r"([+-]?[\d.]+)(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d+))?", str(value))
    try:
        number = Decimal(found[1]) if found else None
    except ArithmeticError:
        number = None
    if not found or number is None:
        return None
    if found[2]:
        return number * 1024 ** ("KMGTPE".index(found[2][0]) + 1)
    exponents = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    return number.scaleb(exponents[found[3]] if found[3] else int(found[4] or 0))


def differences(old: object, new: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """(path, old, new) of every difference; None stands for absent. A list whose items have a name is compared by name."""
    if _same(old, new, path):
        return
    if path.rpartition(".")[2] in _MAPS and (old is None or new is None):
        old, new = old or {}, new or {}
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), _child(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path)
    elif isinstance(old, str) and isinstance(new, str) and (both := _json(old, new)):
        yield from list(differences(*both, f"{path} »")) or [(path, old, new)]
    else:
        yield path, old, new


def _child(path: str, key: str) -> str:
    """``a.b``, ``a[b/c]``, and inside of a JSON text ``a » b``."""
    if not path:
        return key
    return f"{path} {key}" if path.endswith("»") else f"{path}[{key}]" if re.search(r"[./\[\]]", key) else f"{path}.{key}"


def _same(old: object, new: object, path: str) -> bool:
    if re.search(r"\.(requests|limits|capacity|hard)(\.[^.]*|\[[^]]*\])$|\.sizeLimit$", path) and None not in (old, new):
        before, after = quantity(old), quantity(new)
        return before == after and (before is not None or old == new)
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _json(*texts: str) -> list[object] | None:
    """The values of texts that are all JSON objects or lists."""
    try:
        values = [json.loads(text) for text in texts]
    except ValueError:
        return None
    return values if all(isinstance(value, dict | list) for value in values) and type(values[0]) is type(values[1]) else None


def _lists(old: list, new: list, path: str) -> Iterator[tuple[str, object, object]]:
    if key := _merge_key(old, new):
        before, after = ({item[key]: item for item in items} for items in (old, new))
    elif _are_flags(old) and _are_flags(new):
        before, after = _flags(old), _flags(new)
    else:
        yield from _sequence(old, new, path)
        return
    found = [leaf for name in before | after for leaf in differences(before.get(name), after.get(name), f"{path}[{name}]")]
    yield from found
    common = [[name for name in names if name in before and name in after] for names in (before, after)]
    if common[0] != common[1]:
        yield f"{path} (order)", ", ".join(map(str, common[0])), ", ".join(map(str, common[1]))
    elif not key and not found:
        # Flags that are repeated, and in another order among others.
        yield f"{path} (order)", " ".join(old), " ".join(new)


def _merge_key(*lists: list) -> str | None:
    if not all(isinstance(item, dict) for items in lists for item in items):
        return None
    for key in _MERGE_KEYS:
        values = [[item.get(key) for item in items] for items in lists]
        if all(isinstance(value, str | int) for found in values for value in found) and all(len(set(found)) == len(found) for found in values):
            return key
    return None


def _are_flags(items: list) -> bool:
    return all(isinstance(item, str) for item in items) and any(re.match(r"--[a-z]", item) for item in items)


def _flags(items: list[str]) -> dict[str, object]:
    """A command line by its flags: ``{"words": .., "--port": "8000", "--verbose": "given"}``; a flag given twice has a list."""
    found: dict[str, list[list[str]]] = {}
    current = found.setdefault("words", [[]])[0]
    for item in items:
        if re.match(r"--[a-zA-Z]", item):
            flag, equals, value = item.partition("=")
            current = [value] if equals else []
            found.setdefault(flag, []).append(current)
        else:
            current.append(item)
    values = {flag: [" ".join(words) or "given" for words in given] for flag, given in found.items() if given != [[]] or flag != "words"}
    return {flag: given[0] if len(given) == 1 else given for flag, given in values.items()}


def _sequence(old: list, new: list, path: str) -> Iterator[tuple[str, object, object]]:
    """By position, as few removals and insertions as explain the difference."""
    texts = [[json.dumps(item, sort_keys=True) for item in items] for items in (old, new)]
    for _, start, end, new_start, new_end in difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        for offset in range(max(end - start, new_end - new_start)):
            before = old[start + offset] if start + offset < end else None
            after = new[new_start + offset] if new_start + offset < new_end else None
            yield from differences(before, after, f"{path}[{(start if after is None else new_start) + offset}]")
