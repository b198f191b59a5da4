"""The records of vLLM releases in schema/vllm: what a release accepts, and how two releases differ.

The record of a release stays when the pin moves on, so the next bump can show what changed.
"""

import functools
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PACKAGE, ROOT

FOLDER = ROOT / "schema" / "vllm"
# Arguments that older guides name, and what to do instead. Written by hand: a release does not list what it removed.
REMOVED = FOLDER / "removed.yaml"
CHART_FILE = CHART / "files" / "vllm.yaml"
REQUIREMENTS = PACKAGE / "images" / "recipes" / "vllm-cpu" / "requirements.in"
# The fields of Release that list the names in one of vLLM's registries.
REGISTRIES = ("toolCallParsers", "reasoningParsers", "attentionBackends", "quantizations")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Argument(_Strict):
    """An argument of ``vllm serve``.

    ``type`` is the kind of value: ``flag`` has none; ``switch`` has none and also a ``--no-`` form; ``size`` is an integer such as
    ``128k``; ``name`` is text in which case does not matter and a dash is an underscore; ``config`` is a JSON object that accepts only
    the keys in ``keys``. ``nargs`` is the number of values: ``None`` for one, ``+`` for one or more, ``?`` for one or none.
    ``optional``: ``None`` and an empty text are accepted and mean no value.
    """

    type: Literal["flag", "switch", "str", "name", "int", "float", "json", "json-or-text", "config", "size", "size-or-auto"]
    aliases: tuple[str, ...] = ()
    nargs: Literal["+", "?"] | None = None
    optional: bool = False
    choices: tuple[str | int, ...] = ()
    keys: tuple[str, ...] = ()


class Release(_Strict):
    """What a release accepts: its arguments by their long names, and the names in its registries."""

    release: str
    arguments: dict[str, Argument]
    toolCallParsers: tuple[str, ...]
    reasoningParsers: tuple[str, ...]
    attentionBackends: tuple[str, ...]
    quantizations: tuple[str, ...]

    def options(self) -> list[str]:
        """Return every long option, with the ``--no-`` forms."""
        negations = [f"--no-{name[2:]}" for name, argument in self.arguments.items() if argument.type == "switch"]
        long = [name for argument in self.arguments.values() for name in argument.aliases if name.startswith("--")]
        return sorted([*self.arguments, *long, *negations])


@functools.cache
def pinned() -> str:
    """Return the release that the engine's Python packages are locked to, for example v0.32.0."""
    match = re.search(r"^vllm-cpu==(.+)$", REQUIREMENTS.read_text(), re.MULTILINE)
    if not match:
        raise UserError(f"{REQUIREMENTS} pins no vllm-cpu", "Add a line vllm-cpu==VERSION.")
    return f"v{match[1]}"


def recorded(release: str = "") -> Release:
    """Return the record of a release, by default the pinned one. Raises UserError if there is none."""
    return _read(release or pinned())


@functools.cache
def _read(release: str) -> Release:
    path = FOLDER / f"{release}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in FOLDER.glob("v*.yaml"))
        hint = "Run scout-chat vllm record." if release == pinned() else f"schema/vllm has {'only ' * (len(known) == 1)}{', '.join(known) or 'none'}."
        raise UserError(f"vLLM {release} is not recorded", hint)
    return Release.model_validate(kubeyaml.load(path.read_text()))


@functools.cache
def removed() -> dict[str, str]:
    """Return the arguments that the pinned release no longer has, each with what to do instead."""
    hints: dict[str, str] = kubeyaml.load(REMOVED.read_text())
    return hints


def write(release: Release) -> Path:
    """Write the record of a release and return its file."""
    path = FOLDER / f"{release.release}.yaml"
    path.write_text(text(release))
    _read.cache_clear()
    return path


def text(release: Release) -> str:
    """Return the content of the record's file, with one argument or name per line."""
    lines = [
        f"# Generated from vLLM {release.release} by `scout-chat vllm record`. Do not edit. scripts/scout_chat/vllm/release.py explains the keys.",
        f"release: {release.release}",
        "arguments:",
        *(f"  {name}: {_fields(argument)}" for name, argument in release.arguments.items()),
    ]
    for registry in REGISTRIES:
        lines += [f"{registry}:", *(f"  - {name}" for name in getattr(release, registry))]
    return "\n".join(lines) + "\n"


def _fields(argument: Argument) -> str:
    """Return an argument's fields as a YAML flow mapping, without defaults."""
    fields = argument.model_dump(exclude_defaults=True)
    plain: KubeObject = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
    flow: str = yaml.dump(plain, Dumper=yaml.CSafeDumper, default_flow_style=True, sort_keys=False, width=10**6)
    return flow.strip()


def generated_files() -> dict[Path, str]:
    """Return the chart's own copy of the pinned record: only what its schema and templates read."""
    known = recorded()
    lines = [
        "# Generated from schema/vllm by `scout-chat generate`. Do not edit.",
        "# What the pinned vLLM release accepts, for this chart's checks and for its schema.",
        f"release: {known.release}",
        *_wrapped("toolCallParsers", known.toolCallParsers),
        *_wrapped("reasoningParsers", known.reasoningParsers),
        *_wrapped("options", known.options()),
        "# Arguments that older guides name and that stop this release at once, and what to do instead.",
        "removedArguments:",
        *(f"  {name}: {hint}" for name, hint in removed().items()),
    ]
    return {CHART_FILE: "\n".join(lines) + "\n"}


def _wrapped(key: str, names: Iterable[str]) -> list[str]:
    # Names contain dashes, so a line must not break at one.
    body = textwrap.wrap(", ".join(names) + ",", 150, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    return [f"{key}:", "  [", *body, "  ]"]


def changes(old: Release, new: Release) -> list[str]:
    """Return what differs in the new release, one line per change; empty if nothing does."""
    lines = [f"removed: {name}" for name in old.arguments if name not in new.arguments]
    lines += [f"added: {name} {_fields(argument)}" for name, argument in new.arguments.items() if name not in old.arguments]
    for name, argument in new.arguments.items():
        if name in old.arguments:
            pairs = [(field, getattr(old.arguments[name], field), getattr(argument, field)) for field in Argument.model_fields]
            lines += [f"changed: {name} {field} {_difference(before, after)}" for field, before, after in pairs if before != after]
    pairs = [(registry, getattr(old, registry), getattr(new, registry)) for registry in REGISTRIES]
    return lines + [f"changed: {registry} {_difference(before, after)}" for registry, before, after in pairs if before != after]


def _difference(before: object, after: object) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple) and set(before) != set(after):
        return " ".join([*(f"-{name}" for name in before if name not in after), *(f"+{name}" for name in after if name not in before)])
    return f"{before} → {after}"
