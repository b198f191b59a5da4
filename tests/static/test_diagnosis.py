"""Proves: what a pod's status and an engine's last lines say becomes the cause that a user reads.

Does not prove that Kubernetes and vLLM still write these words; tests/cluster sees them when something fails there.
"""

import pytest
from scout_chat.chat import diagnosis
from scout_chat.core.kubeyaml import KubeObject


@pytest.mark.parametrize(
    ("log", "reason", "meaning"),
    [
        ("RuntimeError: Insufficient space in /dev/shm: 160 MiB required, 64 MiB free", "Error", "shmSize"),
        ("vllm: error: unrecognized arguments: --disable-log-requests", "Error", "extraArgs"),
        ("ValueError: Cannot find the config file for awq", "Error", "quantized"),
        ("ValueError: To serve at least one request with the models's max seq len (131072), 4.5 GiB KV cache is needed", "Error", "maxModelLen"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "Error", "gpuMemoryUtilization"),
        ("huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder", "Error", "cannot reach the Hugging Face Hub"),
        ("ValueError: max_num_seqs (256) exceeds available Mamba cache blocks (184).", "Error", "maxNumSeqs"),
        ("ValueError: User-specified max_model_len (262144) is greater than the derived max_model_len", "Error", "maxModelLen"),
        ("ValueError: Free memory on device cuda:0 (30.1/79.14 GiB) on startup is less than desired GPU memory utilization", "Error", "another process"),
        ("RuntimeError: Failed to infer device type, please set the environment variable", "Error", "runtimeClassName"),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 12080)", "Error", "-cu129"),
        ("", "OOMKilled", "limitMemory"),
        ("something new", "Error", ""),
    ],
)
def test_the_last_lines_of_an_engine_give_the_cause(log: str, reason: str, meaning: str) -> None:
    assert meaning in diagnosis.cause(log, reason)
    assert bool(diagnosis.cause(log, reason)) == bool(meaning)


DEAD: KubeObject = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("state", "last", "died"),
    [
        (DEAD, {}, False),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, DEAD, True),
        ({"running": {}}, DEAD, False),
        ({"waiting": {"reason": "ContainerCreating"}}, DEAD, False),
        ({"terminated": {"exitCode": 0, "reason": "Completed"}}, {}, False),
    ],
    ids=["ended once", "crash loop", "runs again", "starts again", "completed"],
)
def test_a_container_died_when_it_is_in_a_crash_loop(state: KubeObject, last: KubeObject, died: bool) -> None:
    entry = {"name": "vllm", "ready": False, "restartCount": 1, "state": state, "lastState": last}
    (container,) = diagnosis.containers({"status": {"containerStatuses": [entry]}})
    assert container.died == died
    assert not died or container.reason == "OOMKilled"


def waiting(name: str, reason: str, message: str) -> KubeObject:
    return {"name": name, "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize("statuses", ["initContainerStatuses", "containerStatuses"])
def test_a_stuck_container_is_explained_in_kubernetes_words(statuses: str) -> None:
    pulling = waiting("vllm", "ImagePullBackOff", 'Back-off pulling image "vllm/vllm-openai:v9"')
    pod = {"status": {statuses: [pulling]}}
    assert diagnosis.stuck(pod) == 'vllm: ImagePullBackOff: Back-off pulling image "vllm/vllm-openai:v9"'


def test_a_stuck_init_container_is_explained_beside_the_containers_that_wait_for_it() -> None:
    """A pod whose containers wait for an init container has a status of both."""
    status = {
        "initContainerStatuses": [waiting("prefetch", "ErrImagePull", "manifest unknown")],
        "containerStatuses": [waiting("vllm", "PodInitializing", "")],
    }
    assert diagnosis.stuck({"status": status}) == "prefetch: ErrImagePull: manifest unknown"


def test_a_pod_without_a_node_is_explained_in_the_schedulers_words() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}
    pod = {"status": {"conditions": [condition]}}
    assert diagnosis.stuck(pod) == "no node can run it: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


def test_a_pod_that_may_still_start_is_not_stuck() -> None:
    assert diagnosis.stuck({"status": {"containerStatuses": [waiting("vllm", "ContainerCreating", "")]}}) == ""
    assert diagnosis.stuck({}) == ""
