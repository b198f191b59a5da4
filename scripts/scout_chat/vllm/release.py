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
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins

FOLDER = ROOT / "schema" / "vllm"
# Arguments that older guides name, and what to do instead. Written by hand: a release does not list what it removed. A release may
# have one of them again.
REMOVED = FOLDER / "removed.yaml"
CHART_FILE = CHART / "files" / "vllm.yaml"
# The fields of Release that list the names in one of vLLM's registries.
REGISTRIES = ("toolCallParsers", "reasoningParsers", "attentionBackends", "quantizations")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Argument(_Strict):
    """An argument of ``vllm serve``.

    ``type`` is the kind of value: ``flag`` has none; ``switch`` has none and also a ``--no-`` form; ``pair`` is a switch that has an
    opposite too, ``--disable-x`` of ``--enable-x`` or the reverse; ``size`` is an integer such as ``128k``; ``name`` is text in which case
    does not matter and a dash is an underscore; ``str-or-none`` is text, or ``none`` in any case for no value; ``config`` is a JSON object
    that accepts only the keys in ``keys``. ``nargs`` is the number of values: ``None`` for one, ``+`` for one or more, ``?`` for one or none.
    ``optional``: ``None`` and an empty text are accepted and mean no value.
    """

    type: Literal["flag", "switch", "pair", "str", "str-or-none", "name", "int", "float", "json", "json-or-text", "config", "size", "size-or-auto"]
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
        """Return every long option, with the ``--no-`` forms and the opposites."""
        negations = [f"--no-{name[2:]}" for name, argument in self.arguments.items() if argument.type in ("switch", "pair")]
        negations += [opposite(name) for name, argument in self.arguments.items() if argument.type == "pair"]
        long = [name for argument in self.arguments.values() for name in argument.aliases if name.startswith("--")]
        return sorted([*self.arguments, *long, *negations])


def of_tag(tag: str) -> str:
    """Return the release that an image's tag names: v0.33.0 of ``v0.33.0-cu129`` and of ``v0.33.0@sha256:...``; empty if it names none."""
    found = re.match(r"v\d+\.\d+\.\d+", tag)
    return found[0] if found else ""


def opposite(name: str) -> str:
    """Return ``--disable-x`` for ``--enable-x``, and the reverse."""
    return name.replace("--enable-", "--disable-", 1) if name.startswith("--enable-") else name.replace("--disable-", "--enable-", 1)


@functools.cache
def recorded(release: str) -> Release:
    """Return the record of a release. Raises UserError if there is none."""
    path = FOLDER / f"{release}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in FOLDER.glob("v*.yaml"))
        hint = "Run scout-chat vllm record." if release in pins().engine.releases else f"schema/vllm has {', '.join(known) or 'none'}."
        raise UserError(f"vLLM {release} is not recorded", hint)
    return Release.model_validate(kubeyaml.load(path.read_text()))


@functools.cache
def removed() -> dict[str, str]:
    """Return arguments that releases of vLLM removed, each with what to do instead."""
    hints: dict[str, str] = kubeyaml.load(REMOVED.read_text())
    return hints


def write(release: Release) -> Path:
    """Write the record of a release and return its file."""
    path = FOLDER / f"{release.release}.yaml"
    path.write_text(text(release))
    recorded.cache_clear()
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
    """Return the chart's own copy of the pinned releases' records: only what its templates read."""
    lines = [
        "# Generated from schema/vllm by `scout-chat generate`. Do not edit.",
        "# What each pinned vLLM release accepts, for this chart's checks. Presets for GPUs use the first.",
        f"newest: {pins().engine.gpu.release}",
        "releases:",
    ]
    for release in pins().engine.releases:
        known = recorded(release)
        none = ["none"] if known.arguments["--reasoning-parser"].type == "str-or-none" else []
        lines += [f"  {release}:", *_wrapped("toolCallParsers", known.toolCallParsers)]
        lines += [*_wrapped("reasoningParsers", [*known.reasoningParsers, *none]), *_wrapped("options", known.options())]
    lines += [
        "# Arguments that older guides name, and what to do instead. A release that lacks one exits at once.",
        "removedArguments:",
        *(f"  {name}: {hint}" for name, hint in removed().items()),
    ]
    return {CHART_FILE: "\n".join(lines) + "\n"}


def _wrapped(key: str, names: Iterable[str]) -> list[str]:
    # Names contain dashes, so a line must not break at one.
    body = textwrap.wrap(", ".join(names) + ",", 150, initial_indent=" " * 8, subsequent_indent=" " * 8, break_on_hyphens=False)
    return [f"    {key}:", "      [", *body, "      ]"]


def changes(old: Release, new: Release) -> list[str]:
    """Return what differs in the new release, one line per change; empty if nothing does. Arguments that change alike share a line."""
    lines = [f"removed: {name}" for name in old.arguments if name not in new.arguments]
    lines += [f"added: {name} {_fields(argument)}" for name, argument in new.arguments.items() if name not in old.arguments]
    alike: dict[str, list[str]] = {}
    for name in old.arguments.keys() & new.arguments.keys():
        pairs = [(field, getattr(old.arguments[name], field), getattr(new.arguments[name], field)) for field in Argument.model_fields]
        for change in (f"{field} {_difference(before, after)}" for field, before, after in pairs if before != after):
            alike.setdefault(change, []).append(name)
    lines += sorted(f"changed: {', '.join(sorted(names))}: {change}" for change, names in alike.items())
    pairs = [(registry, getattr(old, registry), getattr(new, registry)) for registry in REGISTRIES]
    return lines + [f"changed: {registry}: {_difference(before, after)}" for registry, before, after in pairs if before != after]


def _difference(before: object, after: object) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple) and set(before) != set(after):
        return " ".join([*(f"-{name}" for name in before if name not in after), *(f"+{name}" for name in after if name not in before)])
    return f"{before} → {after}"
