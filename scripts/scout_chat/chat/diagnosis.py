"""Why a pod is not ready: its state in a few words, its last lines, and the likely cause of a death."""

import re
from dataclasses import dataclass

# What a dying engine says last, and what it means. The first match wins.
CAUSES = {
    r"Insufficient space in /dev/shm": "the shared memory volume is too small: raise modelSpec[].shmSize (and set vllmConfig.tensorParallelSize)",
    r"No space left on device": "the volume is full: raise modelSpec[].pvcStorage, or free space on the node",
    r"unrecognized arguments": "this vLLM release does not know an argument of vllmConfig.extraArgs",
    r"KeyError: .*parser|invalid (tool call|reasoning) parser": "toolCallParser or --reasoning-parser names a parser that this vLLM release lacks",
    r"Cannot find the config file for (awq|gptq)": "--quantization is set, but the repository is not quantised: use the quantised repository, without it",
    r"GiB KV cache is needed|available KV cache memory|No available memory for the cache blocks": (
        "the context does not fit beside the weights: lower maxModelLen or maxNumSeqs, or raise gpuMemoryUtilization"
    ),
    r"out of memory|OutOfMemoryError": "the accelerator's memory is full: lower gpuMemoryUtilization, maxNumSeqs or maxModelLen, or use a larger GPU",
    r"(401|403) Client Error|GatedRepoError|RepositoryNotFoundError|is not a valid model identifier": (
        "the hub refuses the repository: check modelURL, and modelSpec[].hf_token for a gated model"
    ),
    r"LocalEntryNotFoundError|We couldn't connect|Max retries exceeded|Temporary failure in name resolution|offline mode": (
        "the weights are not on the volume, and the hub cannot be reached from the node"
    ),
    r"VLLM_PORT .*tcp://": "a Service called vllm in this namespace sets VLLM_PORT: rename it",
}


@dataclass(frozen=True)
class Container:
    """A container's standing: ``state`` in words; ``died`` if it keeps ending with an error; ``reason`` as Kubernetes gives it."""

    name: str
    state: str
    ready: bool
    died: bool
    reason: str
    restarts: int


def containers(pod: dict) -> list[Container]:
    """Of a pod as the API returns it, init containers first."""
    status = pod.get("status", {})
    return [_container(entry) for key in ("initContainerStatuses", "containerStatuses") for entry in status.get(key, [])]


def _container(entry: dict) -> Container:
    (kind, detail), *_ = (entry.get("state") or {"waiting": {}}).items()
    reason = detail.get("reason") or ""
    # Once may be chance, and is how a node that lost all its processes comes back; Kubernetes says when it is not.
    ended = (entry.get("lastState") or {}).get("terminated", {}) if reason == "CrashLoopBackOff" else {}
    state = {"running": "running", "waiting": reason or "waiting", "terminated": f"ended ({reason})"}[kind]
    died = ended.get("exitCode", 0) != 0
    return Container(entry["name"], state, entry.get("ready", False), died, ended.get("reason") or reason, entry.get("restartCount", 0))


def stuck(pod: dict) -> str:
    """Why the pod will not start by itself (no such image, no node that fits); empty if it may."""
    for container in containers(pod):
        if container.state in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "ErrImageNeverPull"):
            waiting = next(
                (entry["state"]["waiting"] for entry in pod["status"]["containerStatuses"] if entry["name"] == container.name and "waiting" in entry["state"]),
                {},
            )
            return f"{container.name}: {container.state}: {waiting.get('message', '')}".strip()
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("reason") == "Unschedulable":
            return f"no node takes it: {condition.get('message', '')}"
    return ""


def cause(log: str, reason: str = "") -> str:
    """The likely cause of a container's death, from its last lines and Kubernetes' reason; empty if unknown."""
    if reason == "OOMKilled":
        return "the container used more memory than its limit: raise modelSpec[].limitMemory"
    return next((meaning for pattern, meaning in CAUSES.items() if re.search(pattern, log)), "")
