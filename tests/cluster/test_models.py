"""Proves: scout-chat predicts the KV cache that the real vLLM reports, to the block, for models of four architectures, and each answers.

Every engine runs on the node, from the chart's objects and a values file of `scout-chat preset`. The local preset's engine is compared in
test_release.py. Does not prove the prediction for GPUs, where blocks are smaller and the memory for the cache is an estimate.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import kubernetes
import pytest
from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import Case, Object, render
from scout_chat.chat import readiness
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.images import weights
from scout_chat.planning import architecture, calibration, catalog, engine_figures
from scout_chat.planning.catalog import Checkpoint, License, Model
from scout_chat.planning.engine_figures import EngineFigures
from scout_chat.planning.kv_cache import GIB, Cache
from scout_chat.presets import writer
from scout_chat.presets.request import PresetRequest

from tests.support.releases import forwarded

# The tests of a model share its engine, which takes a minute to start.
pytestmark = [pytest.mark.charts, pytest.mark.random_order(disabled=True)]

Api = kubernetes.client.CoreV1Api


@dataclass(frozen=True)
class Start:
    """A model and the settings of its engine. ``block`` (tokens in a block) and ``padded`` (padding layers) are why the shape is here."""

    model: str
    context: int
    block: int
    padded: int = 0
    batched_tokens: int = 2048
    kv_dtype: str = "auto"
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.model.rpartition("/")[2].lower().removesuffix("-instruct")


# vLLM's CPU build refuses a cache of fp8 on a processor without AVX-512 ("FP8 KV cache on CPU requires x86 with AVX-512 or AMX").
CACHE_TYPE = "fp8" if "avx512f" in Path("/proc/cpuinfo").read_text() else "auto"

STARTS = [
    Start("scout-chat/tiny-qwen3", 8192, block=128, kv_dtype=CACHE_TYPE),
    # Two kinds of layers with different heads.
    Start("scout-chat/tiny-gemma4", 8192, block=256, padded=2),
    Start("scout-chat/tiny-gpt-oss", 16384, block=128, padded=1, batched_tokens=1024),
    # Some CPUs always have a recurrent state of 32 bits. With the argument all have.
    Start("scout-chat/tiny-hybrid", 8192, block=640, padded=1, arguments=("--mamba-ssm-cache-dtype", "float32")),
]


@dataclass(frozen=True)
class Running:
    """A Ready engine at ``url``, and its log."""

    start: Start
    url: str
    log: str


def config(start: Start) -> KubeObject:
    """Return config.json of the weights that the engine loads."""
    folder = weights.hub_store() / f"models--{start.model.replace('/', '--')}"
    (file,) = folder.glob("snapshots/*/config.json")
    text: KubeObject = json.loads(file.read_text())
    return text


def model(start: Start) -> Model:
    """Return the model as the catalog would have it."""
    source = "made on the spot"
    checkpoint = Checkpoint(id=start.model, quantization="bf16", disk=0.3, loaded=0.3, source=source)
    license = License(name="none", source=source)
    return Model(
        name=start.name, title=start.name, parameters=0, active=0, license=license, checkpoints=(checkpoint,), arguments=start.arguments, config=config(start)
    )


def values_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the values file that `scout-chat preset` writes for a model that is added to the catalog."""
    request = PresetRequest(
        models=(start.name,), gpu="cpu", kv_gib=1, context=start.context, kv_dtype=start.kv_dtype, max_num_batched_tokens=start.batched_tokens
    )
    monkeypatch.setattr(catalog, "models", lambda: {start.name: model(start)})
    return writer.write(request)


def shape_of(start: Start) -> KubeObject:
    """Return the model's config.json with what decides its cache."""
    shape = config(start)
    if shape["model_type"] == "qwen3_next":
        # Its state is bf16 unless an argument says float32, as here. Qwen3.5 has that in config.json.
        shape = {**shape, "model_type": "qwen3_5_text"}
    return shape


def predicted(start: Start) -> Cache:
    """Return the planner's cache."""
    return Cache(architecture.read(shape_of(start)), kv_dtype=start.kv_dtype, max_num_batched_tokens=start.batched_tokens, device="cpu")


def engine_objects(case: Case) -> list[Object]:
    """Return the engine's objects of the release, without the router."""
    with chart_for(case) as chart:
        return [item for item in render(case, chart) if f"-{case.name}-" in item.name]


@pytest.fixture(scope="module")
def kubectl(one_node: None, namespace: Kubectl) -> Kubectl:
    """kubectl in the namespace. The tiny models are in the node's store."""
    weights.tiny_models(print)
    return namespace


@pytest.fixture(scope="module", params=STARTS, ids=lambda start: start.name)
def running(request: pytest.FixtureRequest, provider: Provider, kubectl: Kubectl, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One engine at a time, because two would compete for the cores."""
    start: Start = request.param
    with pytest.MonkeyPatch.context() as monkeypatch:
        values = values_for(start, monkeypatch)
    case = Case(start.name, extra=values, namespace="models")
    file: Path = tmp_path_factory.mktemp(start.name) / "engine.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item.body for item in engine_objects(case)]}))
    kubectl.run("apply", "--server-side", "-f", str(file))
    try:
        readiness.wait_for_pods(kubectl, case, print)
        (pod,) = kubectl.objects("pods", f"model={start.name}")
        log = api.read_namespaced_pod_log(pod["metadata"]["name"], case.namespace, container="vllm")
        with forwarded(provider, case.namespace, f"{case.release}-{start.name}-deployment-vllm") as url:
            yield Running(start, url, log)
    finally:
        kubectl.run("delete", "-f", str(file), "--wait=true")


def test_the_engine_reports_the_predicted_cache(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    start, expected, reported = running.start, predicted(running.start), engine_figures.read(running.url)
    print(reported)
    requests = expected.concurrency(GIB, start.context)
    assert reported == EngineFigures(
        source=running.url,
        version="0.32.0",
        model=start.model,
        served_as=start.name,
        max_model_len=start.context,
        kv_dtype=start.kv_dtype,
        kv_gib=1,
        block_size=expected.block_size,
        num_blocks=expected.blocks(GIB),
        kv_cache_tokens=int(requests * start.context),
        max_concurrency=requests,
    )
    # The shape has the peculiarity that it is here for.
    assert reported.block_size == start.block
    padding = re.search(r"Add (\d+) padding layers", running.log)
    assert (int(padding[1]) if padding else 0) == start.padded
    # `scout-chat calibrate` shows no difference.
    monkeypatch.setattr(catalog, "models", lambda: {start.name: model(start)})
    asked = calibration.plan_request(reported, device="cpu", max_num_batched_tokens=start.batched_tokens)
    # A copy would keep the architecture that was read from the other config.
    asked = replace(asked, model=Model.model_validate({**asked.model.model_dump(), "config": shape_of(start)}))
    assert [said for _, said, real in calibration.figures(reported, asked)] == [real for _, said, real in calibration.figures(reported, asked)]


def test_the_log_has_the_same_figures(running: Running) -> None:
    start, reported, logged = running.start, engine_figures.read(running.url), engine_figures.from_log(running.log)
    assert (logged.kv_cache_tokens, logged.kv_gib, logged.max_model_len) == (reported.kv_cache_tokens, 1, start.context)
    assert logged.max_concurrency == float(f"{reported.max_concurrency:.2f}")
    assert (logged.version, logged.model, logged.served_as, logged.kv_dtype) == ("0.32.0", start.model, start.name, start.kv_dtype)
    assert (logged.dtype, logged.tensor_parallel_size, logged.max_num_seqs) == ("bfloat16", 1, 8)
    assert logged.max_num_batched_tokens == start.batched_tokens


def test_it_answers(running: Running) -> None:
    """To a prompt longer than every sliding window. Not by chat completion: for gpt-oss that needs the whole vocabulary."""
    question = {"model": running.start.name, "prompt": "for word in words: " * 200, "max_tokens": 8, "temperature": 0, "ignore_eos": True}
    answer = httpx.post(f"{running.url}/v1/completions", json=question, timeout=120, trust_env=False).raise_for_status().json()
    print(answer["choices"][0]["text"])
    assert answer["usage"]["prompt_tokens"] > 600
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["choices"][0]["text"]
