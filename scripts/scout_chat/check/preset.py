"""What a user's values change, compared with the shipped preset that they start from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scout_chat.check import files
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import PRESETS
from scout_chat.presets.request import shipped
from scout_chat.review.normalize import hide_secrets, shown
from scout_chat.review.tree import differences

# Settings of `engine` that add to what the preset has.
ADDED = ("tolerations", "extraArgs", "env")


@dataclass(frozen=True)
class Changed:
    """A value that differs. None: not set. Secrets are hidden."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Comparison:
    """The preset, as a path under values/ without .yaml, and what differs."""

    preset: str
    changes: tuple[Changed, ...]


def compare(paths: Sequence[Path], contents: Sequence[KubeObject]) -> Comparison | None:
    """Compare the values files with the preset among them, or else with the nearest preset of the same engines; None if there is none.

    The nearest has the fewest differences. All values are compared over the chart's defaults.
    """
    values = files.merged(contents)
    ours = values | {key: _with_nulls(values[key]) for key in ("engine", "engines")}
    given = [path.resolve().relative_to(PRESETS).with_suffix("").as_posix() for path in paths if path.resolve().is_relative_to(PRESETS)]
    candidates = [name for name in given if name in _presets()][-1:] or [name for name in shipped() if _same_engines(ours, _preset(name))]
    found = [(name, list(differences(hide_secrets(_preset(name)), hide_secrets(ours)))) for name in candidates]
    if not found:
        return None
    name, changes = min(found, key=lambda item: len(item[1]))
    return Comparison(name, tuple(Changed(path, shown(_before(path, old, _preset(name))), shown(new)) for path, old, new in changes))


def _with_nulls(value: object) -> object:
    """Return settings of engines with the text null for null, which removes what the preset has: elsewhere null is the same as not set."""
    if isinstance(value, dict):
        return {key: _with_nulls(child) for key, child in value.items()}
    return "null" if value is None else value


def _presets() -> list[str]:
    """Return the shipped files that are whole installations. Those of values/overlays only add to one."""
    return [*shipped(), "external"]


def _preset(name: str) -> KubeObject:
    return files.merged([kubeyaml.load((PRESETS / f"{name}.yaml").read_text())])


def _engines(values: KubeObject) -> list[KubeObject]:
    entries = files.value_at(values, "vllm-stack", "servingEngineSpec", "modelSpec")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _same_engines(one: KubeObject, other: KubeObject) -> bool:
    """Return whether both run engines of the same names, or of the same models."""
    return any({str(entry.get(key)) for entry in _engines(one)} == {str(entry.get(key)) for entry in _engines(other)} != set() for key in ("name", "modelURL"))


def _before(path: str, old: object, preset: KubeObject) -> object:
    """Return the old value. A setting in `engine` or `engines` replaces what the preset has in its entry of modelSpec."""
    found = re.fullmatch(r"(?:engine|engines\.([-\w]+))\.(\w+)", path)
    if old is not None or not found or (key := found[2]) in ADDED:
        return old
    entries = [entry for entry in _engines(preset) if found[1] in (None, entry["name"])]
    values = [entry.get("vllmConfig", {}).get(key, entry.get(key)) for entry in entries]
    return values[0] if values and all(value == values[0] for value in values) else None
