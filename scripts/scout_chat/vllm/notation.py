"""How vLLM reads what is written on its command line: spellings of arguments, keys of a config, sizes and JSON."""

import argparse
import itertools
import json
import re
from collections.abc import Callable

UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SIZE = r"(\d+(?:\.\d+)?)([kKmMgGtT])"


def _size(value: str) -> int:
    if match := re.fullmatch(SIZE, value.strip()):
        # vLLM accepts 1.5k, which is 1500, and refuses 1.5K.
        return int((float if match[2].islower() else int)(match[1]) * UNITS[match[2]])
    return int(value)


def _size_or_auto(value: str) -> int:
    return -1 if value.strip().lower() == "auto" else _size(value)


def _config(value: str) -> object:
    """Read JSON in which a number outside quotes may be a size such as 80g."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', value)
    parts[::2] = [re.sub(rf"\b{SIZE}\b", lambda match: str(_size(match[0])), part) for part in parts[::2]]
    return json.loads("".join(parts))


def _json_or_text(value: str) -> object:
    return json.loads(value) if re.fullmatch(r"(?s)\s*{.*}\s*", value) else value


# An argument's type: what its value must be, and the function that reads it or raises ValueError.
CONVERTERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "int": ("an integer", int),
    "float": ("a number", float),
    "size": ("an integer or a size such as 128k or 1M", _size),
    "size-or-auto": ("an integer, a size such as 128k or 1M, or auto", _size_or_auto),
    "json": ("JSON", json.loads),
    "config": ("JSON", _config),
    "json-or-text": ("JSON", _json_or_text),
    "name": ("", lambda value: value.lower().replace("-", "_")),
}


def spell_out(arguments: list[str]) -> list[str]:
    """Return the arguments with dashes for underscores in names and with ``-O3`` as ``--optimization-level 3``, as vLLM does first."""
    words: list[str] = []
    for word, following in itertools.zip_longest(arguments, arguments[1:]):
        if word.startswith("--"):
            name = re.split("[.=]", word, maxsplit=1)[0]
            words.append(name.replace("_", "-") + word.removeprefix(name))
        elif word.startswith("-O") and word != "-O":
            words += ["--optimization-level", word[2:].removeprefix("=")]
        else:
            words.append("--optimization-level" if word == "-O" and following in ("0", "1", "2", "3") else word)
    return words


def gather_keys(words: list[str]) -> list[str]:
    """Return the arguments with every ``--name.key value`` gathered into one ``--name JSON`` at the end, as vLLM does.

    Raises argparse.ArgumentError for a key without a value.
    """
    plain: list[str] = []
    nested: dict[str, dict[str, str]] = {}
    remaining = iter(words)
    for word in remaining:
        path, equals, value = word.partition("=")
        if not word.startswith("-") or "." not in path:
            plain.append(word)
            continue
        if re.fullmatch(r"-\d*\.\d+", word):
            raise argparse.ArgumentError(None, f"vLLM reads {word} as an argument: write --name={word}")
        if not equals:
            following = next(remaining, None)
            if following is None:
                raise argparse.ArgumentError(None, f"{path} needs a value")
            value = following
        name, key, *_ = path.removesuffix("+").split(".")
        nested.setdefault(name, {})[key] = value
    return plain + [part for name, keys in nested.items() for part in (name, json.dumps(keys))]
