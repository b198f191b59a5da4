"""The differences of two objects: paths as a person writes them, list items by what identifies them.

Values that are the same to Kubernetes, such as ``1`` and ``1000m``, do not differ.
"""

import difflib
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from scout_chat.chart.kubernetes import Schema, key_values
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.review.normalize import MAPS

# Path, old and new value of a difference. None stands for absent.
Difference = tuple[str, object, object]

NO_SCHEMA = Schema("", {})

# What identifies a list item where Kubernetes' schema does not say it. The first of these fields counts that every item
# has, each with another value.
_KEYS_WITHOUT_SCHEMA = (
    ("name",),  # subjects of a RoleBinding, which Kubernetes replaces as a whole; custom resources; JSON in a ConfigMap
    ("port",),  # ports of a NetworkPolicy, endpoints of a ServiceMonitor
    ("key",),  # tolerations, match expressions, files of a volume's ConfigMap
    ("host",),  # rules of an Ingress
)


def quantity(value: object) -> Decimal | None:
    """Return a Kubernetes quantity (``1.5Gi``, ``250m``, ``2``) as a number; None if it is not one."""
    found = re.fullmatch(r"([+-]?[\d.]+)(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d+))?", str(value))
    if not found:
        return None
    try:
        number = Decimal(found[1])
    except ArithmeticError:
        return None
    if found[2]:
        factor: int = 1024 ** ("KMGTPE".index(found[2][0]) + 1)
        return number * factor
    exponents = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    return number.scaleb(exponents[found[3]] if found[3] else int(found[4] or 0))


def differences(old: object, new: object, path: str = "", schema: Schema = NO_SCHEMA) -> Iterator[Difference]:
    """Yield every difference. ``schema`` is Kubernetes' schema of the values: it says what identifies a list item."""
    if _same(old, new, path):
        return
    if path.rpartition(".")[2] in MAPS and (old is None or new is None):
        old, new = old or {}, new or {}
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), _child(path, key), schema.field(key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path, schema)
    elif isinstance(old, str) and isinstance(new, str) and (parsed := _json(old, new)):
        yield from list(differences(*parsed, path=f"{path} »")) or [(path, old, new)]
    else:
        yield path, old, new


def _child(path: str, key: str) -> str:
    """Return ``a.b``, ``a[b/c]``, and inside a JSON text ``a » b``."""
    if not path:
        return key
    return f"{path} {key}" if path.endswith("»") else f"{path}[{key}]" if re.search(r"[./\[\]]", key) else f"{path}.{key}"


def _same(old: object, new: object, path: str) -> bool:
    if re.search(r"\.(requests|limits|capacity|hard)(\.[^.]*|\[[^]]*\])$|\.sizeLimit$", path) and None not in (old, new):
        before, after = quantity(old), quantity(new)
        return before == after and (before is not None or old == new)
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _json(old: str, new: str) -> tuple[object, object] | None:
    """Return the values of two texts that are both JSON objects or both JSON lists."""
    try:
        before, after = json.loads(old), json.loads(new)
    except ValueError:
        return None
    return (before, after) if isinstance(before, dict | list) and type(before) is type(after) else None


def _lists(old: list[Any], new: list[Any], path: str, schema: Schema) -> Iterator[Difference]:
    """Compare two lists by what identifies their items, or as command lines by flag, or else by position."""
    if identified := _by_key(old, new, schema):
        yield from _items(*identified, path, schema.item())
    elif _are_flags(old) and _are_flags(new):
        # Without another difference, a flag that is given several times has moved among the others.
        yield from list(_items(_by_flag(old), _by_flag(new), path)) or [(f"{path} (order)", " ".join(old), " ".join(new))]
    else:
        yield from _by_position(old, new, path, schema.item())


def _items(old: dict[str, object], new: dict[str, object], path: str, schema: Schema = NO_SCHEMA) -> Iterator[Difference]:
    """Compare the items of two lists by their labels, and then their order."""
    for label in old | new:
        yield from differences(old.get(label), new.get(label), f"{path}[{label}]", schema)
    before, after = ([label for label in labels if label in old and label in new] for labels in (old, new))
    if before != after:
        yield f"{path} (order)", ", ".join(before), ", ".join(after)


def _by_key(old: list[Any], new: list[Any], schema: Schema) -> tuple[dict[str, object], dict[str, object]] | None:
    """Return the items of both lists by the values that identify them; None if nothing identifies them."""
    if not all(isinstance(item, dict) for item in [*old, *new]):
        return None
    for keys in filter(None, (schema.keys(), *_KEYS_WITHOUT_SCHEMA)):
        before, after = _labeled(old, keys), _labeled(new, keys)
        if before is not None and after is not None:
            return before, after
    return None


def _labeled(items: list[KubeObject], keys: tuple[str, ...]) -> dict[str, object] | None:
    """Return the items by the values of ``keys``; None if an item lacks one, or two items have the same."""
    labeled: dict[str, object] = {}
    for item in items:
        values = key_values(item, keys)
        label = "/".join(map(str, values))
        if label in labeled or not all(isinstance(value, str | int) for value in values):
            return None
        labeled[label] = item
    return labeled


def _are_flags(items: list[Any]) -> bool:
    return all(isinstance(item, str) for item in items) and any(re.match(r"--[a-z]", item) for item in items)


def _by_flag(items: list[str]) -> dict[str, object]:
    """Return a command line by flag: ``{"words": .., "--port": "8000", "--verbose": "given"}``.

    A flag that is given several times has a list.
    """
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


def _by_position(old: list[Any], new: list[Any], path: str, schema: Schema) -> Iterator[Difference]:
    """Compare by position, with as few removals and insertions as explain the difference."""
    before, after = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    for _, start, end, new_start, new_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for offset in range(max(end - start, new_end - new_start)):
            old_item = old[start + offset] if start + offset < end else None
            new_item = new[new_start + offset] if new_start + offset < new_end else None
            yield from differences(old_item, new_item, f"{path}[{(start if new_item is None else new_start) + offset}]", schema)
