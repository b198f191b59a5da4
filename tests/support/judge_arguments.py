"""Judge lists of arguments as `vllm serve` does before it loads a model. Runs with the Python packages of vLLM 0.32 or 0.33; never imported.

The question maps names to lists. It is ``sys.argv[1]``: JSON, compressed with zlib, in base64. The answer, printed as JSON, maps each name
to vLLM's refusal (what it raises, or the last line that its parser prints), empty if it accepts the list.

vLLM's parser, its checks and its registries judge. Whether the model and the GPU support the arguments is not asked.
"""

import argparse
import base64
import contextlib
import io
import json
import sys
import zlib

from vllm.config import AttentionConfig, CacheConfig
from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
from vllm.reasoning import ReasoningParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser

try:
    # vLLM 0.33
    from vllm.entrypoints.common.cli_args import make_arg_parser, validate_api_server_args, validate_parsed_serve_args
except ImportError:
    # vLLM 0.32
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.entrypoints.launchers.launcher import validate_api_server_args


def judge(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    """Raise what `vllm serve` would raise; a refusal of the parser itself is SystemExit, with its message on standard error."""
    args = parser.parse_args(arguments)
    if (args.chat_template or "").startswith("examples/"):
        args.chat_template = None  # a file of the official image, not of the packages
    validate_parsed_serve_args(args)
    validate_api_server_args(args)
    if args.reasoning_parser and not args.reasoning_parser_plugin:
        ReasoningParserManager.get_reasoning_parser(args.reasoning_parser)
    if args.attention_backend:
        AttentionConfig(backend=args.attention_backend)
    # Where vLLM 0.33 refuses an unknown --kv-cache-dtype. The parser of 0.32 does.
    CacheConfig(cache_dtype=args.kv_cache_dtype)
    assert args.quantization in (None, *QUANTIZATION_METHODS), args.quantization


def main() -> None:
    """Read the lists and print the verdicts."""
    parser = make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))
    verdicts = {}
    for name, arguments in json.loads(zlib.decompress(base64.b64decode(sys.argv[1]))).items():
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                judge(parser, arguments)
                verdicts[name] = ""
            except SystemExit:
                verdicts[name] = said.getvalue().strip().splitlines()[-1]
            except Exception as error:
                verdicts[name] = repr(error)
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
