"""Proves: an engine's init container brings the weights from a hub to its empty volume, goes on after its pod is killed in the middle, and
the engine then starts from the volume without asking anybody; a new pod of it downloads nothing.

The pod is the chart's own, with the image that the one-node cluster assembles; the hub is the tests'. It does not prove that the official
image's python3 has huggingface_hub.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import kubernetes
import pytest
from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import Case, render
from scout_chat.chart.scenarios import scenario
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.one_node.layout import IP
from scout_chat.cluster.provider import Provider
from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS
from scout_chat.images import weights

from tests.support.hub import Hub

Api = kubernetes.client.CoreV1Api
NAMESPACE = "prefetched"
# A name that the node's store does not have: the image's launcher would copy its weights.
MODEL = "example/smollm2-prefetched"
FILE = "model.safetensors"
RATE = 20_000_000


@pytest.fixture(scope="module")
def hub(provider: Provider) -> Iterator[Hub]:
    if provider.name != "one-node":
        pytest.skip("the hub listens on the one-node cluster's own address")
    folder = weights.hub_store() / f"models--{weights.MODEL.replace('/', '--')}"
    snapshot = folder / "snapshots" / (folder / "refs/main").read_text()
    files = {path.name: path.read_bytes() for path in snapshot.iterdir()}
    with Hub({MODEL: {**files, "original/model.safetensors": b"o" * 20_000}}, rate=RATE).running(IP) as hub:
        yield hub


def case(hub: Hub) -> Case:
    """The local preset's engine with weights.prefetch, from the tests' hub."""
    spec = kubeyaml.load((PRESETS / "local.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"][0]
    spec |= {"modelURL": MODEL, "requestCPU": "50m", "requestMemory": "256Mi", "pvcStorage": "1Gi"}
    values = {
        "weights": {"prefetch": {"enabled": True}},
        "engine": {"env": [{"name": "HF_ENDPOINT", "value": hub.url}]},
        "vllm-stack": {"servingEngineSpec": {"modelSpec": [spec]}},
    }
    return replace(scenario("local"), name="prefetched", namespace=NAMESPACE, extra=json.dumps(values))


def wait(what: str, seconds: float, ready: Callable[[], object]) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not after {seconds} s")


def pods(api: Api) -> list[kubernetes.client.V1Pod]:
    return [pod for pod in api.list_namespaced_pod(NAMESPACE).items if not pod.metadata.deletion_timestamp]


def said(api: Api, pod: str) -> str:
    """The init container's log."""
    return api.read_namespaced_pod_log(pod, NAMESPACE, container="weights")


def initialised(api: Api) -> kubernetes.client.V1Pod | None:
    """The engine's pod, if its init container has ended well."""
    for pod in pods(api):
        for status in pod.status.init_container_statuses or []:
            if status.state.terminated:
                assert status.state.terminated.exit_code == 0, said(api, pod.metadata.name)
                return pod
    return None


@pytest.fixture(scope="module")
def engine(provider: Provider, api: Api, hub: Hub) -> Iterator[str]:
    """The engine's objects of the real chart, without the chat and the router. Its first pod's name."""
    kubectl = Kubectl(provider.kubeconfig(), "default")
    wanted = case(hub)
    with chart_for(wanted) as chart:
        objects = [item for item in render(wanted, chart) if item.name.endswith(("-deployment-vllm", "-storage-claim", "-weights-prefetch"))]
    assert sorted(item.kind for item in objects) == ["ConfigMap", "Deployment", "PersistentVolumeClaim"]
    kubectl.run("create", "namespace", NAMESPACE)
    try:
        for item in objects:
            kubernetes.utils.create_from_dict(api.api_client, item.body, namespace=NAMESPACE)
        yield wait("a pod", 60, lambda: pods(api) and pods(api)[0].metadata.name)
    finally:
        kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.charts
def test_a_download_that_is_killed_goes_on_in_the_next_pod(api: Api, hub: Hub, engine: str) -> None:
    size = len(hub.repositories[MODEL][FILE])
    wait("a third of the weights", 120, lambda: hub.sent(FILE) > size / 3)
    api.delete_namespaced_pod(engine, NAMESPACE, grace_period_seconds=0)
    wait("the old pod's end", 60, lambda: all(pod.metadata.name != engine for pod in api.list_namespaced_pod(NAMESPACE).items))
    pod = wait("the weights", 240, lambda: initialised(api))
    print(log := said(api, pod.metadata.name))
    assert pod.metadata.name != engine and "on the volume already" in log and log.splitlines()[-1].startswith("100 %")
    first, second = [asked for asked in hub.log if asked.name == FILE]
    assert (first.start, second.sent) == (0, size - second.start) and second.start > size / 4
    assert "original/model.safetensors" not in hub.names()
    # One line at least every fifteen seconds, and no flood.
    lines = api.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, container="weights", timestamps=True).splitlines()
    assert 3 <= len(lines) <= 10 + second.sent / RATE / 5
    hub.forget()


@pytest.mark.charts
def test_the_engine_answers_from_the_volume(api: Api, hub: Hub, engine: str) -> None:
    def ready() -> kubernetes.client.V1Pod | None:
        return next((pod for pod in pods(api) if all(status.ready for status in pod.status.container_statuses or [])), None)

    pod = wait("the engine", 300, lambda: initialised(api) and ready())
    question = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 20, "temperature": 0}
    answer = httpx.post(f"http://{pod.status.pod_ip}:8000/v1/chat/completions", json=question, timeout=120).raise_for_status().json()
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert hub.requests == []
    assert "node's store" not in api.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, container="vllm")


@pytest.mark.charts
def test_the_next_pod_downloads_nothing(api: Api, hub: Hub, engine: str) -> None:
    (pod,) = pods(api)
    api.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
    wait("its end", 60, lambda: all(other.metadata.name != pod.metadata.name for other in api.list_namespaced_pod(NAMESPACE).items))
    log = said(api, wait("the next pod", 90, lambda: initialised(api)).metadata.name)
    assert "nothing to do" in log and hub.requests == []
