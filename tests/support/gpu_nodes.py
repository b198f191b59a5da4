"""Fake GPU nodes with the labels of NVIDIA's GPU feature discovery, and Deployments of the chart to schedule on them.

kwok plays the kubelets; the scheduler and the controllers are real. Every fake node has a taint, so no other pod is scheduled on it, and
a pool label. Each copy of a Deployment tolerates the taint and selects one pool. Whether the scheduler places it there depends only on
what the chart rendered.
"""

import copy
from collections.abc import Iterable

from scout_chat.core.kubeyaml import KubeObject
from scout_chat.planning.catalog import Gpu, gpus

POOL = "scout-chat/test-pool"
FAKE = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
PRESENT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
KINDS = gpus()


def node(name: str, gpu: Gpu | None, count: int = 1, *, pool: str = "", labelled: bool = True, taints: Iterable[KubeObject] = (PRESENT,)) -> KubeObject:
    """Return a node with ``count`` GPUs; without GPUs and ``taints`` if ``gpu`` is None. ``labelled`` False: feature discovery does not run."""
    amount = {"cpu": str(16 * count), "memory": f"{128 * count}Gi", "pods": "110"} | ({"nvidia.com/gpu": str(count)} if gpu else {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", POOL: pool or name}
            | (discovered(gpu, count) if gpu and labelled else {}),
        },
        "spec": {"taints": [FAKE, *(taints if gpu else ())]},
        "status": {"capacity": amount, "allocatable": amount},
    }


def discovered(gpu: Gpu, count: int) -> dict[str, str]:
    """Return the labels of GPU feature discovery, node feature discovery and the GPU operator that a preset could use."""
    major, minor = gpu.capability.split(".")
    return {
        "feature.node.kubernetes.io/pci-10de.present": "true",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": gpu.products[0],
        "nvidia.com/gpu.memory": str(gpu.labelMib),
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.replicas": "1",
        # Wrong on purpose, as older releases write it for an Ada GPU: no preset may depend on it.
        "nvidia.com/gpu.family": "ampere",
        "nvidia.com/gpu.compute.major": major,
        "nvidia.com/gpu.compute.minor": minor,
    }


def pinned(workload: KubeObject, pool: str, name: str = "") -> KubeObject:
    """Return a copy of a Deployment for the fake nodes of one pool, under another name if one is given.

    The copy has the pool as nodeSelector and as a label, and tolerates the fake nodes' taint. Nothing is removed.
    """
    body = copy.deepcopy(workload)
    template = body["spec"]["template"]
    for labels in (body["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]):
        labels[POOL] = pool
    body["metadata"]["name"] = name or body["metadata"]["name"]
    template["spec"].setdefault("nodeSelector", {})[POOL] = pool
    template["spec"].setdefault("tolerations", []).append({"key": FAKE["key"], "operator": "Exists"})
    return body


def gpus_of(workload: KubeObject) -> int:
    """Return how many GPUs a pod of the workload requests."""
    limits = [container.get("resources", {}).get("limits", {}) for container in workload["spec"]["template"]["spec"]["containers"]]
    return sum(int(limit.get("nvidia.com/gpu", 0)) for limit in limits)


def volumes_of(workload: KubeObject) -> list[KubeObject]:
    """Return the volumes of the workload's pods."""
    volumes: list[KubeObject] = workload["spec"]["template"]["spec"].get("volumes", [])
    return volumes


def with_terms(workload: KubeObject, *terms: list[tuple[str, str, str]]) -> KubeObject:
    """Return the Deployment with a node affinity of these terms, ORed. A term has (label after nvidia.com/gpu., operator, value). No terms: no affinity."""
    body = copy.deepcopy(workload)
    written = [
        {"matchExpressions": [{"key": f"nvidia.com/gpu.{key}", "operator": operator, "values": [value]} for key, operator, value in term]} for term in terms
    ]
    required = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": written}}}
    body["spec"]["template"]["spec"]["affinity"] = required if terms else {}
    return body


def bare_pod(workload: KubeObject) -> KubeObject:
    """Return a pod of the Deployment without the Deployment, for tests of the scheduler only."""
    template = workload["spec"]["template"]
    name = workload["metadata"]["name"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}
