"""Print what the installed vLLM accepts, as the JSON of a ``Release`` (release.py explains the keys).

``extract.py`` runs this script with the Python packages of the engine's image. It is never imported.
"""

import argparse
import dataclasses
import inspect
import json
import sys
from collections.abc import Callable

import vllm
from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.attention.backends.registry import AttentionBackendEnum

try:
    from vllm.config.cache import KV_CACHE_DTYPES
    from vllm.entrypoints.common.cli_args import make_arg_parser
except ImportError:  # before 0.33
    from vllm.entrypoints.launchers.cli_args import make_arg_parser

    KV_CACHE_DTYPES = []

# Choices that vLLM checks after it has parsed the arguments.
CHECKED_LATER = {"--kv-cache-dtype": KV_CACHE_DTYPES}

# The converters of vLLM and Python by name, and the type of argument that each makes.
TYPES = {
    "loads": "json",
    "union_dict_and_str": "json-or-text",
    "human_readable_int": "size",
    "human_readable_int_or_auto": "size-or-auto",
    "parse_reasoning_parser": "str-or-none",
    "str": "str",
    "int": "int",
    "float": "float",
}


def describe(action: argparse.Action) -> dict[str, dict]:
    """Return the argument's long name and its fields."""
    name, *aliases = [option for option in action.option_strings if not is_negation(action, option)]
    if not name.startswith("--"):
        name, aliases = aliases[0], [name]
    kind, optional, keys = type_of(action)
    fields = {
        "aliases": aliases,
        "type": kind,
        "nargs": action.nargs if action.nargs in ("+", "?") else None,
        "optional": optional,
        "choices": [choice for choice in action.choices or CHECKED_LATER.get(name, []) if choice is not None],
        "keys": keys,
    }
    return {name: {key: value for key, value in fields.items() if value}}


def is_negation(action: argparse.Action, option: str) -> bool:
    # Since 0.33 the opposite of --enable-x is --disable-x as well as --no-enable-x.
    return isinstance(action, argparse.BooleanOptionalAction) and (option.startswith("--no-") or option in getattr(action, "negative_option_strings", ()))


def type_of(action: argparse.Action) -> tuple[str, bool, list[str]]:
    """Return the argument's type, whether it is optional, and the keys of a config."""
    if isinstance(action, argparse.BooleanOptionalAction):
        paired = any(is_negation(action, option) and not option.startswith("--no-") for option in action.option_strings)
        return ("pair" if paired else "switch"), False, []
    if action.nargs == 0:
        return "flag", False, []
    convert, optional = unwrapped(action.type)
    name = getattr(convert, "__name__", "str")
    if name == "parse_dataclass":
        config = inspect.signature(convert).parameters["cls"].default
        return "config", optional, sorted(field.name for field in dataclasses.fields(config) if field.init)
    if name == "<lambda>":
        return ("name" if convert("A-b") == "a_b" else "str"), optional, []
    return TYPES[name], optional, []


def unwrapped(convert: Callable | None) -> tuple[Callable | None, bool]:
    """Return the converter that vLLM's ``optional_type`` and ``parse_type`` wrap, and whether ``optional_type`` was among them."""
    optional = False
    while getattr(convert, "__name__", "") in ("_optional_type", "_parse_type"):
        optional |= convert.__name__ == "_optional_type"
        convert = inspect.getclosurevars(convert).nonlocals["return_type"]
    return convert, optional


arguments: dict[str, dict] = {}
for action in make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))._actions:
    if action.option_strings:
        arguments |= describe(action)
json.dump(
    {
        "release": f"v{vllm.__version__}",
        "arguments": dict(sorted(arguments.items())),
        "toolCallParsers": sorted(ToolParserManager.list_registered()),
        "reasoningParsers": sorted(ReasoningParserManager.list_registered()),
        "attentionBackends": sorted(AttentionBackendEnum.__members__),
        "quantizations": sorted(QUANTIZATION_METHODS),
    },
    sys.stdout,
)
