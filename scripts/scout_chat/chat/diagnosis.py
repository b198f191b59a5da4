"""Explain why a pod is not ready: the state of its containers, and the likely cause when one keeps dying."""

import re
from dataclasses import dataclass

from scout_chat.core.kubeyaml import KubeObject

# The entry of an engine in the values, for keys that `engine` does not have.
ENTRY = "vllm-stack.servingEngineSpec.modelSpec[]"
# Patterns of an engine's last lines, and their meaning. The first match counts.
CAUSES = {
    r"Insufficient space in /dev/shm": f"the shared memory volume is too small: raise {ENTRY}.shmSize, and set engine.tensorParallelSize",
    r"No space left on device": "the volume is full: raise engine.pvcStorage, or free space on the node",
    r"unrecognized arguments": "an argument in engine.extraArgs, or in the preset, does not exist in this vLLM release",
    r"KeyError: .*parser|invalid (tool call|reasoning) parser": f"{ENTRY}.toolCallParser or --reasoning-parser names a parser that this vLLM release lacks",
    r"Cannot find the config file for (awq|gptq)": (
        "--quantization is set, but the repository is not quantized: use the quantized repository, without --quantization"
    ),
    r"GiB KV cache is needed|available KV cache memory|No available memory for the cache blocks": (
        "the context does not fit beside the weights: lower engine.maxModelLen or engine.maxNumSeqs, or raise engine.gpuMemoryUtilization"
    ),
    r"exceeds available Mamba cache blocks": "the KV cache has fewer blocks than sequences: lower engine.maxNumSeqs",
    r"User-specified max_model_len .* is greater": "the context is longer than the model supports: lower engine.maxModelLen",
    r"Free memory on device .* is less than": "another process uses the GPU: stop it, or lower engine.gpuMemoryUtilization",
    r"Failed to infer device type": (
        "the container sees no GPU: on k3s and RKE2 set vllm-stack.servingEngineSpec.runtimeClassName to nvidia, elsewhere check the device plugin"
    ),
    r"driver on your system is too old": "the node's NVIDIA driver is older than the image's CUDA: update it, or append -cu129 to the tag (engine.tag)",
    r"out of memory|OutOfMemoryError": (
        "the GPU's memory is full: lower engine.gpuMemoryUtilization, engine.maxNumSeqs or engine.maxModelLen, or use a larger GPU"
    ),
    r"(401|403) Client Error|GatedRepoError|RepositoryNotFoundError|is not a valid model identifier": (
        f"the Hugging Face Hub refuses the repository: check {ENTRY}.modelURL, and .hf_token for a gated model"
    ),
    r"LocalEntryNotFoundError|We couldn't connect|Max retries exceeded|Temporary failure in name resolution|offline mode": (
        "the weights are not on the volume, and the node cannot reach the Hugging Face Hub"
    ),
    r"VLLM_PORT .*tcp://": "a Service named vllm in this namespace sets the variable VLLM_PORT: rename the Service",
}
# Reasons of a waiting container that does not start without a change.
STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "ErrImageNeverPull")


@dataclass(frozen=True)
class Container:
    """What a pod's status says about one container.

    ``state`` is a few words. ``died``: it is in CrashLoopBackOff, and its last run ended with an error.
    ``reason`` and ``message`` are Kubernetes' own. For a container that died, ``reason`` is why its last run ended.
    """

    name: str
    state: str
    ready: bool
    died: bool
    reason: str
    message: str
    restarts: int


def containers(pod: KubeObject) -> list[Container]:
    """Return the containers of a pod that have a status, init containers first."""
    status = pod.get("status", {})
    return [_container(entry) for key in ("initContainerStatuses", "containerStatuses") for entry in status.get(key, [])]


def _container(entry: KubeObject) -> Container:
    (kind, detail), *_ = (entry.get("state") or {"waiting": {}}).items()
    reason = detail.get("reason") or ""
    # One exit may be chance: a node that lost its processes comes back that way. CrashLoopBackOff means repeated exits.
    ended = (entry.get("lastState") or {}).get("terminated", {}) if reason == "CrashLoopBackOff" else {}
    return Container(
        name=entry["name"],
        state={"running": "running", "waiting": reason or "waiting", "terminated": f"terminated ({reason})"}[kind],
        ready=entry.get("ready", False),
        died=ended.get("exitCode", 0) != 0,
        reason=ended.get("reason") or reason,
        message=detail.get("message") or "",
        restarts=entry.get("restartCount", 0),
    )


def stuck(pod: KubeObject) -> str:
    """Return why the pod cannot start without a change (no such image, no node that fits); empty if it may still start."""
    for container in containers(pod):
        if container.state in STUCK:
            return f"{container.name}: {container.state}: {container.message}".strip()
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return f"no node can run it: {condition.get('message', '')}"
    return ""


def cause(log: str, reason: str = "") -> str:
    """Return the likely cause of a container's death from its last lines and Kubernetes' reason; empty if unknown."""
    if reason == "OOMKilled":
        return "the container used more memory than its limit: raise engine.limitMemory"
    return next((meaning for pattern, meaning in CAUSES.items() if re.search(pattern, log)), "")
