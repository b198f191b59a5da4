"""What a vLLM engine itself says of its memory: read from its start-up log, or from the running engine.

vLLM words its log differently from release to release: blocks (0.7), tokens and requests in two lines (0.8 to 0.24), both in one (0.32). What
"KV cache size" counts changed with them: for models with more than one kind of layers only the number of requests compares.
"""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict

from scout_chat.core.errors import UserError
from scout_chat.planning import catalog
from scout_chat.planning.catalog import Gpu
from scout_chat.planning.kv_cache import GIB
from scout_chat.planning.planner import BATCHED_TOKENS, CONTEXT, Plan, PlanRequest, plan

SECONDS = 10
HOW = "Give the log from its first line on (kubectl logs deploy/<engine> > engine.log), - to read it from a pipe, or an engine's address: http://host:port"
# Lines of every data-parallel engine and every worker look alike; the first engine and the tightest worker count.
NUMBER = r"(\d[\d,]*(?:\.\d+)?)"


class Engine(BaseModel):
    """An engine's own figures; None where it does not say. ``gib`` figures are of each GPU.

    ``model`` is the repository or folder, ``served_as`` the name that clients ask for. ``block_size`` is the tokens of a block of the layers that
    attend to everything. ``kv_cache_tokens`` is what vLLM calls "KV cache size".
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


def read(source: str) -> Engine:
    """The engine's figures from a log file, from standard input (``-``), or from ``http://host:port``.

    Raises UserError where there are none: an unreadable file, a log without vLLM's lines about its cache, an address that does not answer
    or is not an engine's.
    """
    if source.startswith(("http://", "https://")):
        return _running(source.rstrip("/"))
    if source == "-":
        return from_log(sys.stdin.read(), "standard input")
    try:
        return from_log(Path(source).read_text(errors="replace"), source)
    except OSError as error:
        raise UserError(f"{source}: {(error.strerror or str(error)).lower()}", HOW) from None


def from_log(text: str, source: str = "the log") -> Engine:
    """The figures in a start-up log; of several starts in it the last."""
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
            raise UserError(f"the engine of {source} did not start: {refused[0].strip()}", "scout-chat plan says what fits.")
        raise UserError(f"{source} has none of the lines in which vLLM says how large its KV cache is", HOW)
    return Engine(source=source, **figures, **_settings(text))


def _settings(text: str) -> dict[str, str | None]:
    """What the engine was told, as it repeats it: its arguments that are not defaults, then the configuration that came of all."""
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
    """What the first of the pattern's alternatives that occurs says, wherever in the text it stands."""
    for alternative in pattern.split("|"):
        if found := re.search(alternative, text):
            return found[1].replace(",", "") if re.fullmatch(NUMBER, found[1]) else found[1]
    return None


def _numbers(pattern: str, text: str) -> list[float]:
    return [float(next(filter(None, found.groups())).replace(",", "")) for found in re.finditer(pattern, text)]


def _least(pattern: str, text: str) -> float | None:
    return min(_numbers(pattern, text), default=None)


def _most(pattern: str, text: str) -> float | None:
    return max(_numbers(pattern, text), default=None)


def _running(url: str) -> Engine:
    key = os.environ.get("VLLM_API_KEY")
    # A proxy named in the environment never reaches this machine's own ports.
    near = re.match(r"https?://(127\.0\.0\.1|localhost)\b", url)
    with httpx.Client(timeout=SECONDS, trust_env=not near, headers={"Authorization": f"Bearer {key}"} if key else {}) as client:
        info = _cache_info(_get(client, f"{url}/metrics").text)
        if not info:
            raise UserError(
                f"{url} answers, but not as a vLLM engine: its metrics have no vllm:cache_config_info",
                "A router or the chat does not know. Reach an engine: kubectl port-forward deploy/<engine> 8000, then http://127.0.0.1:8000",
            )
        try:
            return Engine(source=url, **_cache(info), **_served(_get(client, f"{url}/v1/models").json()), version=_version(client, url))
        except (ValueError, LookupError, TypeError):
            raise UserError(f"{url} answers, but not as a vLLM engine: its metrics or /v1/models read otherwise", HOW) from None


def _cache(info: dict[str, str]) -> dict[str, object]:
    given = info.get("kv_cache_memory_bytes")
    return {
        "kv_dtype": info.get("cache_dtype"),
        # Memory given in bytes goes before a share of it.
        "gpu_memory_utilization": None if given else info.get("gpu_memory_utilization"),
        "kv_gib": int(given) / GIB if given else None,
        "block_size": info.get("effective_attention_block_size") or info.get("block_size"),
        "num_blocks": info.get("num_gpu_blocks"),
        "kv_cache_tokens": info.get("kv_cache_size_tokens"),
        "max_concurrency": info.get("kv_cache_max_concurrency"),
    }


def _served(models: dict) -> dict[str, object]:
    model = models["data"][0]
    return {"model": model["root"], "served_as": model["id"], "max_model_len": model["max_model_len"]}


def _version(client: httpx.Client, url: str) -> str | None:
    """Not every release tells."""
    try:
        return _get(client, f"{url}/version").json().get("version")
    except UserError:
        return None


def _cache_info(metrics: str) -> dict[str, str]:
    """The labels of the first engine's ``vllm:cache_config_info``, those without a value left out; empty if it is not there."""
    found = re.search(r"^vllm:cache_config_info\{(.*)\} ", metrics, re.MULTILINE)
    pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[1]) if found else []
    return {name: value for name, value in pairs if value != "None"}


def _get(client: httpx.Client, url: str) -> httpx.Response:
    try:
        response = client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UserError(f"{url} does not answer: {error or type(error).__name__}", HOW) from None
    if response.status_code in (401, 403):
        raise UserError(f"{url} wants a key", "Put the engine's into VLLM_API_KEY, or give its log.")
    if not response.is_success:
        raise UserError(f"{url} answers {response.status_code}: it is not a vLLM engine's address", HOW)
    return response


def ask(engine: Engine, model: str = "", gpu: Gpu | None = None, device: str = "cuda", **settings: int) -> PlanRequest:
    """The question to the planner that this engine is an answer to. ``settings`` (tensor_parallel, max_num_batched_tokens) stand in for what
    the engine does not say. Raises UserError where its model is not in the catalogue."""
    if not engine.kv_gib and not engine.num_blocks:
        raise UserError(f"{engine.source} does not say how much memory its cache has, so there is nothing to compare", HOW)
    name = model or (engine.model or "").removeprefix("/weights/") or engine.served_as or ""
    found, checkpoint = catalog.find(name)
    asked = PlanRequest(
        found,
        checkpoint,
        gpu,
        engine.tensor_parallel_size or settings.get("tensor_parallel", 1),
        engine.max_model_len or CONTEXT,
        kv_dtype="fp8" if (engine.kv_dtype or "").startswith("fp8") else "auto",
        max_num_batched_tokens=engine.max_num_batched_tokens or settings.get("max_num_batched_tokens", BATCHED_TOKENS),
        max_num_seqs=engine.max_num_seqs,
        device=device,
    )
    gib = engine.kv_gib or engine.num_blocks * Plan(replace(asked, kv_gib=1)).cache.bytes_per_block / GIB
    return replace(asked, kv_gib=gib)


def comparison(engine: Engine, asked: PlanRequest) -> list[tuple[str, float, float | None]]:
    """Figure by figure: its name, what the planner says, what the engine says (None where it does not).

    The cache's figures follow from the GiB that the engine has for it, as far as it says them (a log gives hundredths). With a GPU named, the
    estimates of weights and of what they leave follow.
    """
    exact = plan(asked)
    rows = [
        ("blocks", exact.kv_blocks, engine.num_blocks),
        ("tokens of a block", exact.cache.block_size, engine.block_size),
        ("tokens", int(exact.max_concurrency * asked.context), engine.kv_cache_tokens),
        ("requests of the longest context", exact.max_concurrency, engine.max_concurrency),
    ]
    if asked.gpu:
        estimate = plan(replace(asked, kv_gib=None, utilization=engine.gpu_memory_utilization))
        rows += [("GiB of weights", estimate.weights_gib, engine.load_gib), ("GiB for the cache", estimate.kv_gib, engine.kv_gib)]
    return rows
