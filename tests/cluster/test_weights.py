"""Proves: an engine's init container downloads the weights to its empty volume, and resumes when its pod is killed in the middle. The engine
then starts from the volume without a request to the Hugging Face Hub, and its next pod downloads nothing.

The pod is the chart's own, with the image that the one-node cluster assembles. The hub is a program of the tests. This does not prove that
the official image's python3 has huggingface_hub.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import kubernetes
import pytest
from pytest_helm_charts.clusters import Cluster
from pytest_helm_charts.k8s.deployment import wait_for_deployments_to_run
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
from tests.support.releases import pods_of

# The tests follow one engine from its first download to its second start.
pytestmark = [pytest.mark.charts, pytest.mark.usefixtures("one_node"), pytest.mark.random_order(disabled=True)]

Api = kubernetes.client.CoreV1Api
NAMESPACE = "weights"
DEPLOYMENT = "chat-smollm2-135m-deployment-vllm"
# A name that the node's store lacks. The image's launcher would copy the weights of one that it has.
MODEL = "example/smollm2-prefetched"
FILE = "model.safetensors"
# Bytes a second.
RATE = 20_000_000

T = TypeVar("T")


@pytest.fixture(scope="module")
def hub(provider: Provider) -> Iterator[Hub]:
    """A Hugging Face Hub on the node's own address, with the local preset's weights."""
    folder = weights.hub_store() / f"models--{weights.MODEL.replace('/', '--')}"
    snapshot = folder / "snapshots" / (folder / "refs/main").read_text()
    files = {path.name: path.read_bytes() for path in snapshot.iterdir()}
    with Hub({MODEL: {**files, "original/model.safetensors": b"o" * 20_000}}, rate=RATE).running(IP) as hub:
        yield hub


def case(hub: Hub) -> Case:
    """Return the local preset's engine with weights.prefetch, from the tests' hub."""
    spec = kubeyaml.load((PRESETS / "local.yaml").read_text())["vllm-stack"]["servingEngineSpec"]["modelSpec"][0]
    spec |= {"modelURL": MODEL, "requestCPU": "50m", "requestMemory": "256Mi", "pvcStorage": "1Gi"}
    values = {
        "weights": {"prefetch": {"enabled": True}},
        "engine": {"env": [{"name": "HF_ENDPOINT", "value": hub.url}]},
        "vllm-stack": {"servingEngineSpec": {"modelSpec": [spec]}},
    }
    return replace(scenario("local-node-port"), name="prefetched", namespace=NAMESPACE, extra=json.dumps(values))


def wait(what: str, seconds: float, ready: Callable[[], T | None]) -> T:
    """Return what ``ready`` returns as soon as it is true. Fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.2)
    return found


def log_of(api: Api, pod: str) -> str:
    """Return the init container's log."""
    log: str = api.read_namespaced_pod_log(pod, NAMESPACE, container="weights")
    return log


def initialised(kubectl: Kubectl, api: Api) -> str | None:
    """Return the engine's pod if its init container has succeeded. Fails if the init container has failed."""
    for name in pods_of(kubectl, "serving-engine"):
        for status in kubectl.get("pod", name)["status"].get("initContainerStatuses", []):
            if ended := status["state"].get("terminated"):
                assert ended["exitCode"] == 0, log_of(api, name)
                return name
    return None


def kill(kubectl: Kubectl, pod: str) -> None:
    """Delete the pod without a grace period, and wait until it is gone."""
    kubectl.run("delete", "pod", pod, "--grace-period=0", "--force", "--wait=true", "--timeout=60s")


@pytest.fixture(scope="module")
def engine(namespace: Kubectl, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The first pod of the engine. Of the chart's objects there are only the engine's, without the chat and the router."""
    wanted = case(hub)
    with chart_for(wanted) as chart:
        objects = [item for item in render(wanted, chart) if item.name.endswith(("-deployment-vllm", "-storage-claim", "-weights-prefetch"))]
    assert sorted(item.kind for item in objects) == ["ConfigMap", "Deployment", "PersistentVolumeClaim"]
    file: Path = tmp_path_factory.mktemp("weights") / "engine.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item.body for item in objects]}))
    namespace.run("create", "-f", str(file))
    (pod,) = wait("a pod", 60, lambda: pods_of(namespace, "serving-engine"))
    return pod


def test_a_download_that_is_killed_goes_on_in_the_next_pod(api: Api, hub: Hub, engine: str, namespace: Kubectl) -> None:
    size = len(hub.repositories[MODEL][FILE])
    wait("a third of the weights", 120, lambda: hub.sent(FILE) > size / 3)
    kill(namespace, engine)
    pod = wait("the weights", 240, lambda: initialised(namespace, api))
    print(log := log_of(api, pod))
    assert pod != engine and "already on the volume" in log and log.splitlines()[-1].startswith("100 %")
    first, second = [asked for asked in hub.log if asked.name == FILE]
    assert (first.start, second.sent) == (0, size - second.start) and second.start > size / 4
    assert "original/model.safetensors" not in hub.names()
    # At least one line every fifteen seconds, and no flood.
    lines = api.read_namespaced_pod_log(pod, NAMESPACE, container="weights", timestamps=True).splitlines()
    assert 3 <= len(lines) <= 10 + second.sent / RATE / 5
    hub.forget()


def test_the_engine_answers_from_the_volume(api: Api, hub: Hub, engine: str, namespace: Kubectl, kube_cluster: Cluster) -> None:
    wait_for_deployments_to_run(kube_cluster.kube_client, [DEPLOYMENT], NAMESPACE, timeout_sec=300)
    (pod,) = pods_of(namespace, "serving-engine")
    address = namespace.get("pod", pod)["status"]["podIP"]
    question = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 20, "temperature": 0}
    answer = httpx.post(f"http://{address}:8000/v1/chat/completions", json=question, timeout=120).raise_for_status().json()
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert hub.requests == []
    assert "node's store" not in api.read_namespaced_pod_log(pod, NAMESPACE, container="vllm")


def test_the_next_pod_downloads_nothing(api: Api, hub: Hub, engine: str, namespace: Kubectl) -> None:
    (pod,) = pods_of(namespace, "serving-engine")
    kill(namespace, pod)
    log = log_of(api, wait("the next pod", 90, lambda: initialised(namespace, api)))
    assert "nothing to do" in log and hub.requests == []
