"""Validate the arguments of ``vllm serve`` against the record of a release, without vLLM.

vLLM's own parser comes only with vLLM and its 6 GB of packages, and no library parses its arguments without them. It is an argparse
parser, so one that is built from the record reads abbreviations, negative numbers and lists of values as vLLM does.
"""

import argparse
import contextlib
import difflib
import functools
import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, NoReturn

from scout_chat.chart.render import Object
from scout_chat.vllm.notation import CONVERTERS, gather_keys, spell_out
from scout_chat.vllm.release import Argument, Release, of_tag, opposite, recorded, removed


class EngineCommand(NamedTuple):
    """The release that an engine's image tag names, empty if it names none, and what follows ``vllm serve``."""

    release: str
    arguments: list[str]


def engine_commands(objects: Iterable[Object]) -> dict[str, EngineCommand]:
    """Return the command of each engine, by the name of the engine's Deployment."""
    engines = [item for item in objects if item.kind == "Deployment" and item.name.endswith("-deployment-vllm")]
    containers = {item.name: item.body["spec"]["template"]["spec"]["containers"][0] for item in engines}
    tags = {name: container["image"].partition("@")[0].rpartition(":")[2] for name, container in containers.items()}
    return {name: EngineCommand(of_tag(tags[name]), container["command"][2:]) for name, container in containers.items()}


def validate(arguments: list[str], release: str) -> list[str]:
    """Return what a release refuses in the arguments after ``vllm serve``, one sentence per error.

    Not checked: values inside a JSON object, files, LoRA modules, arguments for several nodes, and whether the model and the GPU
    support the arguments. Where argparse stops, as at a missing value, the rest of the list is not checked either.
    """
    known, parser = recorded(release), _parser(release)
    errors = parser.errors = []
    try:
        parsed, unparsed = parser.parse_known_args(gather_keys(spell_out(arguments)))
    except argparse.ArgumentError as error:
        return [*errors, _in_plain_words(error)]
    return [*errors, *_unknown_arguments(unparsed, known), *_check_combinations(vars(parsed)), *_check_registries(vars(parsed), known)]


def values(arguments: list[str], release: str) -> dict[str, object]:
    """Return the values of the given arguments as vLLM reads them, by names such as ``max_model_len``; the model is ``model_tag``.

    Without what ``validate`` reports. Empty where argparse stops.
    """
    known, parser = recorded(release), _parser(release)
    parser.errors = []
    try:
        parsed = vars(parser.parse_known_args(gather_keys(spell_out(arguments)))[0])
    except argparse.ArgumentError:
        return {}
    read: dict[str, object] = {}
    for name, argument in known.arguments.items():
        key = name.removeprefix("--").replace("-", "_")
        value = parsed.pop(key)
        if isinstance(value, str) and not _check_value(argument, value, known):
            read[key] = None if argument.optional and value in ("", "None") else CONVERTERS.get(argument.type, ("", str))[1](value)
        elif not isinstance(value, str):
            read[key] = value
    return {key: value for key, value in (read | parsed).items() if value is not None and value is not False}


class _Parser(argparse.ArgumentParser):
    """Collects invalid values in ``errors`` and goes on."""

    errors: list[str]

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentError(None, message)


@functools.cache
def _parser(release: str) -> _Parser:
    """Build the parser of a release. It has about 300 arguments, so it is built once."""
    known = recorded(release)
    parser = _Parser(add_help=False, exit_on_error=False)
    parser.add_argument("model_tag", nargs="?")
    for name, argument in known.arguments.items():
        if argument.type in ("switch", "pair"):
            action = parser.add_argument(name, *argument.aliases, action=argparse.BooleanOptionalAction)
            if argument.type == "pair":
                parser.add_argument(opposite(name), dest=action.dest, action="store_false", default=None)
        elif argument.type == "flag":
            parser.add_argument(name, *argument.aliases, action="store_true")
        else:
            parser.add_argument(name, *argument.aliases, nargs=argument.nargs, type=_checker(name, argument, known, parser))
    return parser


def _checker(name: str, argument: Argument, known: Release, parser: _Parser) -> Callable[[str], str]:
    def check(value: str) -> str:
        if error := _check_value(argument, value, known):
            parser.errors.append(f"{name} is {value!r}, {error}")
        return value

    return check


def _check_value(argument: Argument, value: str, known: Release) -> str:
    """Return what is wrong with an argument's value, as the end of a sentence; empty if nothing is."""
    if argument.optional and value in ("", "None"):
        return ""
    expected, convert = CONVERTERS.get(argument.type, ("", str))
    try:
        converted = convert(value)
    except ValueError as error:
        return f"which is not {expected}" + (f": {error}" if isinstance(error, json.JSONDecodeError) else "")
    if argument.choices and converted not in argument.choices:
        return f"which vLLM {known.release} does not accept{_suggestion(str(converted), map(str, argument.choices))}"
    if argument.type == "config":
        if not isinstance(converted, dict):
            return "which is not a JSON object"
        if unknown := [key for key in converted if key not in argument.keys]:
            return f"in which vLLM {known.release} does not accept the key {unknown[0]!r}{_suggestion(unknown[0], argument.keys)}"
    return ""


def _suggestion(name: str, names: Iterable[str]) -> str:
    """Return the nearest name as a question, or all names if none is near."""
    names = list(names)
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else f"; use one of {', '.join(names)}"


def _in_plain_words(error: argparse.ArgumentError) -> str:
    """Return argparse's message as a sentence that names the argument."""
    name = (error.argument_name or "").split("/")[0]
    if error.message.startswith("expected"):
        return f"{name} needs a value"
    if explicit := re.match("ignored explicit argument (.*)", error.message):
        return f"{name} takes no value, but has {explicit[1]}"
    if ambiguous := re.match("ambiguous option: (.*) could match (.*)", error.message):
        return f"{ambiguous[1]} is ambiguous; use one of {ambiguous[2]}"
    return error.message


def _unknown_arguments(unparsed: list[str], known: Release) -> list[str]:
    """Return an error for each word that argparse could not assign. A word after an unknown argument counts as its value."""
    errors: list[str] = []
    follows_unknown = False
    for word in unparsed:
        name = word.partition("=")[0]
        if word.startswith("-") and " " in name:
            errors.append(f"{word!r} is one list item; make the argument and its value two items")
        elif word.startswith("-"):
            near = difflib.get_close_matches(name, known.options(), 1)
            hint = f": {removed()[name]}" if name in removed() else f"; did you mean {near[0]}?" if near else ""
            errors.append(f"vLLM {known.release} has no argument {name}{hint}")
            follows_unknown = True
        elif not follows_unknown:
            errors.append(f"{word!r} belongs to no argument")
    return errors


def _check_combinations(parsed: dict[str, object]) -> list[str]:
    """Return an error for each argument that needs or excludes another; vLLM checks this once it has read all of them."""
    errors: list[str] = []
    if parsed.get("enable_auto_tool_choice") and not parsed.get("tool_call_parser"):
        errors.append("--enable-auto-tool-choice needs --tool-call-parser")
    if parsed.get("enable_log_outputs") and not parsed.get("enable_log_requests"):
        errors.append("--enable-log-outputs needs --enable-log-requests")
    if parsed.get("enable_per_request_metrics") and parsed.get("disable_log_stats"):
        errors.append("--enable-per-request-metrics cannot be combined with --disable-log-stats")
    if str(parsed.get("sse_keep_alive_interval")).startswith("-"):
        errors.append("--sse-keep-alive-interval must not be negative")
    # Text that is not JSON has an error already.
    with contextlib.suppress(json.JSONDecodeError):
        efforts = json.loads(str(parsed.get("reasoning_effort_map") or "{}"))
        if not isinstance(efforts, dict) or not all(isinstance(effort, str) for effort in efforts.values()):
            errors.append("--reasoning-effort-map must be a JSON object that maps each reasoning effort to a text")
    return errors


def _check_registries(parsed: dict[str, object], known: Release) -> list[str]:
    """Return an error for each name that its registry lacks. A plugin may add parsers, so with one vLLM does not look theirs up."""
    errors: list[str] = []
    # Without automatic tool choice vLLM does not look up the tool parser.
    tools = parsed.get("enable_auto_tool_choice") and not parsed.get("tool_parser_plugin")
    for what, key, names, looked_up in (
        ("tool parser", "tool_call_parser", known.toolCallParsers, tools),
        ("reasoning parser", "reasoning_parser", known.reasoningParsers, not parsed.get("reasoning_parser_plugin")),
        ("quantization", "quantization", known.quantizations, True),
        ("attention backend", "attention_backend", (*known.attentionBackends, "AUTO"), True),
    ):
        name = parsed.get(key)
        if not looked_up or not isinstance(name, str) or not name:
            continue
        argument = known.arguments[f"--{key.replace('_', '-')}"]
        if (argument.optional and name == "None") or (argument.type == "str-or-none" and name.lower() == "none"):
            continue
        # Attention backends are the only names in which case does not matter.
        if name not in names and not (key == "attention_backend" and name.upper() in names):
            errors.append(f"vLLM {known.release} has no {what} {name!r}{_suggestion(name, names)}")
    return errors
