"""Read a vLLM engine's own figures of its memory, from its start-up log or while it runs.

The wording of vLLM's log differs between releases: blocks (0.7), tokens and requests in two lines (0.8 to 0.24), both in one (0.32). The
meaning of "KV cache size" changed too. For models with several kinds of layers, only the number of requests is comparable.
"""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from scout_chat.core.errors import UserError
from scout_chat.planning.kv_cache import GIB

if TYPE_CHECKING:  # imported where it is used: a log needs no HTTP client
    import httpx

SECONDS = 10
HOW = "Pass the log from its first line on (kubectl logs deploy/<engine> > engine.log), - for standard input, or the engine's address: http://host:port"
# A number in a log. All workers and data-parallel engines log the same lines: settings are taken from the first, memory from the worker
# that has the least.
NUMBER = r"(\d[\d,]*(?:\.\d+)?)"


class EngineFigures(BaseModel):
    """The figures that an engine reports; None for those that it does not. ``*_gib`` are of each GPU.

    ``model``: the repository or folder of the weights. ``served_as``: the served model name. ``block_size``: tokens of a block of the
    full-attention layers. ``kv_cache_tokens``: vLLM's "KV cache size".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    source: str
    version: str | None = None
    model: str | None = None
    served_as: str | None = None
    dtype: str | None = None
    kv_dtype: str | None = None
    tensor_parallel_size: int | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    load_gib: float | None = None
    kv_gib: float | None = None
    block_size: int | None = None
    num_blocks: int | None = None
    kv_cache_tokens: int | None = None
    max_concurrency: float | None = None


def read(source: str) -> EngineFigures:
    """Return the engine's figures from a log file, from standard input (``-``) or from ``http://host:port``.

    Raises UserError for an unreadable file, a log without vLLM's lines about its KV cache, and an address that does not answer or is not
    an engine's.
    """
    if source.startswith(("http://", "https://")):
        return _running(source.rstrip("/"))
    if source == "-":
        return from_log(sys.stdin.read(), "standard input")
    try:
        return from_log(Path(source).read_text(errors="replace"), source)
    except OSError as error:
        raise UserError(f"{source}: {(error.strerror or str(error)).lower()}", HOW) from None


def from_log(text: str, source: str = "the log") -> EngineFigures:
    """Return the figures in a start-up log. If the engine started several times, the last start counts."""
    starts = [match.start() for match in re.finditer("non-default args:", text)]
    text = text[starts[-1] if starts else 0 :]
    refused = re.search(r"[Tt]o serve at least one request .*?GiB KV cache is needed.*|No available memory for the cache blocks.*", text)
    figures = {
        "load_gib": _most(rf"(?:Model loading|Loading model weights) took {NUMBER} Gi?B", text),
        "kv_gib": _least(rf"Available KV cache memory: {NUMBER} GiB|Explicitly set \({NUMBER}/[\d.]+\) GiB for KV cache", text),
        "num_blocks": _least(rf"# (?:GPU|CPU|CUDA) blocks: {NUMBER}", text),
        "kv_cache_tokens": _least(rf"\b[A-Z]+ KV cache size: {NUMBER} tokens", text),
        "max_concurrency": _least(rf"Maximum concurrency for [\d,]+ tokens per request: {NUMBER}x", text),
    }
    if not any(figures[name] for name in ("num_blocks", "kv_cache_tokens", "max_concurrency")):
        if refused:
            raise UserError(f"the engine of {source} did not start: {refused[0].strip()}", "`scout-chat plan` shows what fits.")
        raise UserError(f"{source} has no line with the size of vLLM's KV cache", HOW)
    return EngineFigures.model_validate({"source": source, **figures, **_settings(text)})


def _settings(text: str) -> dict[str, str | None]:
    """Return the engine's settings as it logs them: the arguments that are not defaults, and the configuration that results."""
    return {
        "version": _first(r"LLM engine \(v([^)\s]+)\)|API server version (\S+)|\bversion (\d+\.\d+\S*)", text),
        "model": _first(r"'model_tag': '([^']*)'|with config: .*?\bmodel='([^']*)'|'model': '([^']*)'", text),
        "served_as": _first(r"'served_model_name': \['([^']*)'|\bserved_model_name=([^,\s]+)", text),
        "dtype": _first(r"\bdtype=(?:torch\.)?(\w+)|'dtype': '(\w+)'", text),
        "kv_dtype": _first(r"\bkv_cache_dtype=(\w+)|'kv_cache_dtype': '(\w+)'", text),
        "tensor_parallel_size": _first(r"\btensor_parallel_size=(\d+)|'tensor_parallel_size': (\d+)", text),
        "gpu_memory_utilization": _first(r"'gpu_memory_utilization': ([\d.]+)", text),
        "max_model_len": _first(r"\bmax_seq_len=(\d+)|Using max model len (\d+)|Maximum concurrency for ([\d,]+) tokens", text),
        "max_num_batched_tokens": _first(r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)|'max_num_batched_tokens': (\d+)", text),
        "max_num_seqs": _first(r"'max_num_seqs': (\d+)", text),
        "block_size": _first(r"Setting attention block size to (\d+) tokens|'block_size': (\d+)", text),
    }


def _first(pattern: str, text: str) -> str | None:
    """Return what the first alternative of the pattern that occurs anywhere in the text captures; None if none does."""
    for alternative in pattern.split("|"):
        if found := re.search(alternative, text):
            return found[1].replace(",", "") if re.fullmatch(NUMBER, found[1]) else found[1]
    return None


def _numbers(pattern: str, text: str) -> list[float]:
    captured = (next(filter(None, found.groups())) for found in re.finditer(pattern, text))
    return [float(number.replace(",", "")) for number in captured]


def _least(pattern: str, text: str) -> float | None:
    return min(_numbers(pattern, text), default=None)


def _most(pattern: str, text: str) -> float | None:
    return max(_numbers(pattern, text), default=None)


def _running(url: str) -> EngineFigures:
    import httpx

    key = os.environ.get("VLLM_API_KEY")
    # A proxy of the environment cannot reach ports of this machine.
    local = re.match(r"https?://(127\.0\.0\.1|localhost)\b", url)
    with httpx.Client(timeout=SECONDS, trust_env=not local, headers={"Authorization": f"Bearer {key}"} if key else {}) as client:
        info = _cache_info(_get(client, f"{url}/metrics").text)
        if not info:
            raise UserError(
                f"{url} is not a vLLM engine: its metrics have no vllm:cache_config_info",
                "The router and the chat do not have it. Use an engine: kubectl port-forward deploy/<engine> 8000, then http://127.0.0.1:8000",
            )
        try:
            served = _served(_get(client, f"{url}/v1/models").json())
            return EngineFigures.model_validate({"source": url, **_cache(info), **served, "version": _version(client, url)})
        except (ValueError, LookupError, TypeError):
            raise UserError(f"{url} is not a vLLM engine: its metrics or /v1/models have another format", HOW) from None


def _cache(info: dict[str, str]) -> dict[str, Any]:
    given = info.get("kv_cache_memory_bytes")
    return {
        "kv_dtype": info.get("cache_dtype"),
        # A size in bytes takes precedence over the utilization.
        "gpu_memory_utilization": None if given else info.get("gpu_memory_utilization"),
        "kv_gib": int(given) / GIB if given else None,
        "block_size": info.get("effective_attention_block_size") or info.get("block_size"),
        "num_blocks": info.get("num_gpu_blocks"),
        "kv_cache_tokens": info.get("kv_cache_size_tokens"),
        "max_concurrency": info.get("kv_cache_max_concurrency"),
    }


def _served(models: dict[str, Any]) -> dict[str, Any]:
    model = models["data"][0]
    return {"model": model["root"], "served_as": model["id"], "max_model_len": model["max_model_len"]}


def _version(client: "httpx.Client", url: str) -> str | None:
    """Return the engine's version; None from a release without ``/version``."""
    try:
        body: dict[str, str] = _get(client, f"{url}/version").json()
    except UserError:
        return None
    return body.get("version")


def _cache_info(metrics: str) -> dict[str, str]:
    """Return the labels of the first engine's metric ``vllm:cache_config_info``, without those that are None; empty if it is missing."""
    found = re.search(r"^vllm:cache_config_info\{(.*)\} ", metrics, re.MULTILINE)
    pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[1]) if found else []
    return {name: value for name, value in pairs if value != "None"}


def _get(client: "httpx.Client", url: str) -> "httpx.Response":
    import httpx

    try:
        response = client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UserError(f"{url} does not answer: {error or type(error).__name__}", HOW) from None
    if response.status_code in (401, 403):
        raise UserError(f"{url} requires an API key", "Set VLLM_API_KEY to the engine's key, or pass its log.")
    if not response.is_success:
        raise UserError(f"{url} answers with status {response.status_code}, so it is not the address of a vLLM engine", HOW)
    return response
