"""Proves: `scout-chat calibrate` reads an engine's figures from logs of the pinned release (recorded in tests/data/vllm) and of older releases
(published), and from a running engine's metrics. A source without figures is an error that says so.

It proves nothing about the wording of future releases.
"""

import http.server
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydantic
import pytest
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.images import weights
from scout_chat.planning import engine_figures, reference_logs
from scout_chat.planning.architecture import ModelConfig
from scout_chat.planning.engine_figures import EngineFigures

from tests.support.commands import Command

DATA = ROOT / "tests" / "data" / "vllm"
COMMON: dict[str, Any] = {"version": "0.32.0", "dtype": "bfloat16", "tensor_parallel_size": 1, "max_num_seqs": 8, "kv_gib": 1}
# Recorded from the pods of tests/cluster/test_models.py.
RECORDED = {
    "tiny-gpt-oss": EngineFigures(
        source="",
        **COMMON,
        model="scout-chat/tiny-gpt-oss",
        served_as="tiny-gpt-oss",
        kv_dtype="auto",
        max_model_len=16384,
        max_num_batched_tokens=1024,
        kv_cache_tokens=388941,
        max_concurrency=23.74,
    ),
    "tiny-hybrid": EngineFigures(
        source="",
        **COMMON,
        model="scout-chat/tiny-hybrid",
        served_as="tiny-hybrid",
        kv_dtype="auto",
        max_model_len=8192,
        block_size=640,
        kv_cache_tokens=1412473,
        max_concurrency=172.42,
    ),
    "tiny-qwen3": EngineFigures(
        source="",
        **COMMON,
        model="scout-chat/tiny-qwen3",
        served_as="tiny-qwen3",
        kv_dtype="fp8",
        max_model_len=8192,
        kv_cache_tokens=1677696,
        max_concurrency=204.8,
    ),
}
# Published lines, by release and source, with the figures in them.
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "0.7, vllm-project/vllm#12569": (
        """INFO 01-30 03:18:12 gpu_model_runner.py:848] Loading model weights took 67.7229 GB
INFO 01-30 03:19:14 kv_cache_utils.py:395] # GPU blocks: 1381
INFO 01-30 03:19:14 kv_cache_utils.py:398] Maximum concurrency for 2048 tokens per request: 10.79x""",
        {"load_gib": 67.7229, "num_blocks": 1381, "max_model_len": 2048, "max_concurrency": 10.79},
    ),
    "0.14, vllm-project/vllm-omni#1160": (
        """(EngineCore_DP0 pid=181642) [Stage-0] INFO 02-02 18:25:03 [gpu_worker.py:358] Available KV cache memory: 100.43 GiB
(EngineCore_DP0 pid=181642) [Stage-0] INFO 02-02 18:25:03 [kv_cache_utils.py:1305] GPU KV cache size: 2,925,232 tokens
(EngineCore_DP0 pid=181642) [Stage-0] INFO 02-02 18:25:03 [kv_cache_utils.py:1310] Maximum concurrency for 32,768 tokens per request: 89.27x""",
        {"kv_gib": 100.43, "kv_cache_tokens": 2925232, "max_model_len": 32768, "max_concurrency": 89.27},
    ),
    "out of journald, 1CatAI/1Cat-vLLM#237": (
        """авг 18 14:15:02 llm python3[28147]: (Worker_TP0 pid=28145) INFO 08-18 14:15:02 [gpu_worker.py:475] Available KV cache memory: 5.35 GiB
авг 18 14:15:02 llm python3[28059]: (EngineCore pid=28059) INFO 08-18 14:15:02 [kv_cache_utils.py:1733] GPU KV cache size: 215,401 tokens
авг 18 14:15:02 llm python3[28059]: (EngineCore pid=28059) INFO [kv_cache_utils.py:1734] Maximum concurrency for 8,192 tokens per request: 26.29x""",
        {"kv_gib": 5.35, "kv_cache_tokens": 215401, "max_model_len": 8192, "max_concurrency": 26.29},
    ),
}
REFUSED = (
    "(EngineCore_DP0 pid=6880) ValueError: To serve at least one request with the models's max seq len (131072), (4.54 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (1.71 GiB)."
)  # vllm-project/vllm#27508
METRICS = (DATA / "tiny-gemma4.metrics").read_text()
MODELS = (DATA / "tiny-gemma4.models.json").read_text()


def from_source(engine: EngineFigures, source: object) -> EngineFigures:
    """Return the figures as if they were read from ``source``."""
    return engine.model_copy(update={"source": str(source)})


@pytest.mark.parametrize("name", RECORDED)
def test_a_log_of_the_pinned_release(name: str) -> None:
    assert engine_figures.read(str(DATA / f"{name}.log")) == from_source(RECORDED[name], DATA / f"{name}.log")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_log_of_another_release(name: str) -> None:
    text, figures = PUBLISHED[name]
    assert engine_figures.from_log(text) == EngineFigures(source="the log", **figures)


def test_a_log_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO((DATA / "tiny-qwen3.log").read_text()))
    assert engine_figures.read("-") == from_source(RECORDED["tiny-qwen3"], "standard input")


def test_the_last_of_several_starts_counts() -> None:
    first, last = ((DATA / f"{name}.log").read_text() for name in ("tiny-hybrid", "tiny-gpt-oss"))
    assert engine_figures.from_log(first + last, "") == RECORDED["tiny-gpt-oss"]


def test_the_worker_with_the_least_memory_counts() -> None:
    """Each GPU has another amount left, and vLLM uses the smallest for all."""
    text = "".join(
        f"(Worker_TP{n} pid={n}) Model loading took {load} GiB memory\n(Worker_TP{n} pid={n}) Available KV cache memory: {kv} GiB\n"
        for n, load, kv in [(0, 35.1, 9.5), (1, 35.2, 8.99)]
    )
    engine = engine_figures.from_log(text + "(EngineCore) GPU KV cache size: 130,960 tokens\n")
    assert (engine.load_gib, engine.kv_gib, engine.kv_cache_tokens) == (35.2, 8.99, 130960)


def test_the_effective_configuration_takes_precedence_over_the_arguments() -> None:
    """vLLM may have changed an argument."""
    text = """non-default args: {'model_tag': 'openai/gpt-oss-120b', 'max_model_len': 131072, 'served_model_name': ['gpt-oss', 'other'],
'tensor_parallel_size': 2, 'gpu_memory_utilization': 0.95, 'max_num_batched_tokens': 4096, 'max_num_seqs': 64, 'kv_cache_dtype': 'fp8', 'block_size': 64}
Chunked prefill is enabled with max_num_batched_tokens=2048.
Initializing a V1 LLM engine (v0.24.0) with config: model='/data/hub/models--openai--gpt-oss-120b', dtype=torch.bfloat16,
max_seq_len=131072, tensor_parallel_size=2, kv_cache_dtype=fp8_e4m3,
GPU KV cache size: 130,960 tokens"""
    assert engine_figures.from_log(text, "") == EngineFigures(
        source="",
        version="0.24.0",
        model="openai/gpt-oss-120b",
        served_as="gpt-oss",
        dtype="bfloat16",
        kv_dtype="fp8_e4m3",
        tensor_parallel_size=2,
        gpu_memory_utilization=0.95,
        max_model_len=131072,
        max_num_batched_tokens=2048,
        max_num_seqs=64,
        block_size=64,
        kv_cache_tokens=130960,
    )


def test_figures_are_immutable() -> None:
    with pytest.raises(pydantic.ValidationError):
        RECORDED["tiny-qwen3"].num_blocks = 1


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        ("", "has no line with the size of vLLM's KV cache", "from its first line on"),
        ("INFO: 10.244.0.1:59368 - GET /health 200 OK\nGPU KV cache usage: 1.3%\n", "has no line", "from its first line on"),
        (REFUSED, r"did not start: To serve at least one request .*4\.54 GiB KV cache is needed", "scout-chat plan"),
    ],
)
def test_a_log_without_figures(text: str, complaint: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "engine.log").write_text(text)
    with pytest.raises(UserError, match=complaint) as error:
        engine_figures.read(str(tmp_path / "engine.log"))
    assert "engine.log" in str(error.value) and hint in error.value.hint


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone.log: no such file or directory"):
        engine_figures.read(str(tmp_path / "gone.log"))
    with pytest.raises(UserError, match="is a directory"):
        engine_figures.read(str(tmp_path))
    (tmp_path / "picture.png").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="has no line"):
        engine_figures.read(str(tmp_path / "picture.png"))


@contextmanager
def serving(pages: dict[str, str], key: str = "") -> Iterator[str]:
    """Serve these pages by path, with an API key if ``key`` is given; yield the address."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not key or self.headers["Authorization"] == f"Bearer {key}"
            self.send_response(401 if not allowed else 200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, "").encode() if allowed else b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


ENGINE = {"/metrics": METRICS, "/v1/models": MODELS, "/version": '{"version": "0.32.0"}'}
GEMMA = EngineFigures(
    source="",
    version="0.32.0",
    model="scout-chat/tiny-gemma4",
    served_as="tiny-gemma4",
    max_model_len=8192,
    kv_dtype="auto",
    kv_gib=1,
    block_size=256,
    num_blocks=5461,
    kv_cache_tokens=470910,
    max_concurrency=5461 / 95,
)


def test_a_running_engine() -> None:
    with serving(ENGINE) as url:
        assert engine_figures.read(f"{url}/") == from_source(GEMMA, url)


def test_a_running_engine_of_a_release_with_fewer_metrics() -> None:
    """Not every release reports tokens, a version, or the block size of attention layers. On a GPU the cache is a fraction of the memory."""
    labels = 'block_size="16",cache_dtype="fp8",engine="0",gpu_memory_utilization="0.95",kv_cache_memory_bytes="None",num_gpu_blocks="4092"'
    metrics = f"# HELP vllm:cache_config_info Information\nvllm:cache_config_info{{{labels}}} 1.0\n"
    with serving({"/metrics": metrics, "/v1/models": MODELS}) as url:
        assert engine_figures.read(url) == EngineFigures(
            source=url,
            model=GEMMA.model,
            served_as=GEMMA.served_as,
            max_model_len=8192,
            kv_dtype="fp8",
            gpu_memory_utilization=0.95,
            block_size=16,
            num_blocks=4092,
        )


def test_an_api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    with serving(ENGINE, key="secret") as url:
        with pytest.raises(UserError, match="requires an API key") as error:
            engine_figures.read(url)
        assert "VLLM_API_KEY" in error.value.hint
        monkeypatch.setenv("VLLM_API_KEY", "secret")
        assert engine_figures.read(url).num_blocks == 5461


@pytest.mark.parametrize(
    ("pages", "complaint"),
    [
        ({}, "/metrics answers with status 404, so it is not the address of a vLLM engine"),
        ({"/metrics": "<html>a page</html>"}, "its metrics have no vllm:cache_config_info"),
        ({"/metrics": 'vllm:num_requests_running{server="http://10.0.0.1:8000"} 0.0\n'}, "its metrics have no vllm:cache_config_info"),
        ({**ENGINE, "/v1/models": "<html>a page</html>"}, "its metrics or /v1/models have another format"),
        ({**ENGINE, "/v1/models": '{"data": []}'}, "its metrics or /v1/models have another format"),
        ({**ENGINE, "/metrics": METRICS.replace('num_gpu_blocks="5461"', 'num_gpu_blocks="many"')}, "its metrics or /v1/models have another format"),
    ],
)
def test_an_address_of_something_else(pages: dict[str, str], complaint: str) -> None:
    with serving(pages) as url, pytest.raises(UserError, match=complaint) as error:
        engine_figures.read(url)
    assert error.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "http://"])
def test_an_address_that_does_not_answer(url: str) -> None:
    with pytest.raises(UserError, match="does not answer"):
        engine_figures.read(url)


@pytest.mark.parametrize("name", ["tiny-qwen3", "tiny-gpt-oss"])
def test_the_planner_predicts_a_recorded_engine(name: str, tmp_path: Path, command: Command) -> None:
    """With a real engine's log and the config.json that it loaded, every figure that the engine reports equals the planner's."""
    config = weights.tiny_configs()[name]

    def tokens(shape: ModelConfig) -> list[str]:
        """Return the columns of the row "tokens" for this config.json."""
        (tmp_path / "config.json").write_text(json.dumps(shape))
        status, output = command("calibrate", str(DATA / f"{name}.log"), "--model", str(tmp_path), "--gpu", "cpu")
        assert status == 0
        assert output.count("not reported") == 2
        (row,) = [line.split() for line in output.splitlines() if line.startswith(" tokens  ")]
        return row[1:]

    logged = f"{RECORDED[name].kv_cache_tokens:,}"
    assert tokens(config) == [logged, logged, "+0.00", "%"]
    # Another model differs.
    assert tokens({**config, "head_dim": 2 * config["head_dim"]})[2] not in ("+0.00", "-0.00")


def test_a_mistake_is_one_message(tmp_path: Path, command: Command) -> None:
    for line, words in (
        ("calibrate", "calibrate needs one of a log, an engine's address, and --published"),
        ("calibrate --published http://127.0.0.1:9", "calibrate needs one of"),
        (f"calibrate {DATA}/tiny-qwen3.log", "there is no model 'scout-chat/tiny-qwen3' in the catalog"),
        (f"calibrate {DATA}/tiny-qwen3.log --gpu l5", "there is no GPU 'l5'"),
    ):
        status, output = command(*line.split())
        assert status == 1
        assert words in output
    (tmp_path / "engine.log").write_text("GPU KV cache size: 1,000 tokens\n")
    status, output = command("calibrate", str(tmp_path / "engine.log"), "--model", "qwq-32b")
    assert status == 1
    assert "does not report the memory of its KV cache" in output


def test_the_published_table_is_printed(command: Command) -> None:
    status, output = command("calibrate", "--published")
    assert status == 0
    assert output.count(" %") == len(reference_logs.logs())
