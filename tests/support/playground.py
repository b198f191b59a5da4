"""Schedule copies of the chart's Deployments on fake GPU nodes (gpu_nodes.py), and read the scheduler's decisions. Every wait is a watch."""

import copy
import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.core.kubeyaml import KubeObject

from tests.support.gpu_nodes import KINDS, POOL, node, volumes_of

# A StorageClass that does not exist: no provisioner acts, and a PVC is bound to the volume that is made for it.
STORAGE_CLASS = "scout-chat-test"
# The scheduler's words.
AFFINITY = "node(s) didn't match Pod's node affinity/selector"
NO_GPU = "Insufficient nvidia.com/gpu"
UNTOLERATED = "node(s) had untolerated taint(s)"
# The scheduler has not seen yet that a node is ready, or that a PVC is bound.
NOT_YET = ("node.kubernetes.io/", "unbound immediate PersistentVolumeClaims")
SECONDS = 20


@dataclass(frozen=True)
class Verdict:
    """The scheduler's decision for a pod: a ``node`` or a ``message``. ``size``: the number of nodes in the pod's ``pool``."""

    pod: str
    pool: str
    size: int
    node: str = ""
    message: str = ""

    @property
    def causes(self) -> dict[str, int]:
        """Reasons with the number of the pool's nodes that each excludes. The nodes of other pools, excluded by the nodeSelector, are left out."""
        if self.node:
            return {}
        said = re.match(r"0/(\d+) nodes are available: (.*?)\.(?: |$)", self.message)
        assert said, self.message
        causes = {cause: int(number) for number, cause in re.findall(r"(\d+) ([^,]+)", said[2])}
        causes[AFFINITY] = causes.get(AFFINITY, 0) - (int(said[1]) - self.size)
        return {cause: number for cause, number in causes.items() if number}


@dataclass
class Listing:
    """The objects of one kind as a watch reports them, and every event so far."""

    call: Callable[..., Any]
    where: dict[str, str]
    objects: dict[str, KubeObject]
    version: str
    events: list[tuple[str, KubeObject]] = field(default_factory=list)

    @classmethod
    def of(cls, call: Callable[..., Any], **where: str) -> "Listing":
        answer = json.loads(call(_preload_content=False, **where).data)
        return cls(call, where, {item["metadata"]["name"]: item for item in answer["items"]}, answer["metadata"]["resourceVersion"])

    def until(self, done: Callable[[dict[str, KubeObject]], bool], seconds: int = SECONDS) -> bool:
        """Watch the objects until ``done(objects by name)`` holds. Returns False if the time is over first."""
        if done(self.objects):
            return True
        watch = kubernetes.watch.Watch()
        for event in watch.stream(self.call, resource_version=self.version, timeout_seconds=seconds, **self.where):
            item = event["raw_object"]
            self.version = item["metadata"]["resourceVersion"]
            self.events.append((event["type"], item))
            self.objects[item["metadata"]["name"]] = item
            if event["type"] == "DELETED":
                del self.objects[item["metadata"]["name"]]
            if done(self.objects):
                watch.stop()
                return True
        return False


def condition(item: KubeObject, kind: str) -> KubeObject:
    """Return a condition of an object's status; empty if there is none."""
    return next((entry for entry in item.get("status", {}).get("conditions", []) if entry["type"] == kind), {})


def complete(deployment: KubeObject) -> bool:
    """Return whether the rollout of the last change is over and all pods are available."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(seen and status.get("replicas") == status.get("updatedReplicas") == status.get("availableReplicas") == wanted)


class Playground:
    """A namespace, fake nodes, and the workloads that are tried on them."""

    def __init__(self, kubectl: Kubectl, namespace: str, folder: Path) -> None:
        self.kubectl, self.namespace, self.folder = kubectl, namespace, folder
        self.core, self.apps = kubernetes.client.CoreV1Api(), kubernetes.client.AppsV1Api()
        self.pools: dict[str, int] = {}
        self._passing: list[str] = []
        self._kept: list[str] = []

    def apply(self, *objects: KubeObject) -> None:
        """Apply objects server-side, as the owner of every field."""
        file = self.folder / "list.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [self._here(item) for item in objects]}))
        self.kubectl.run("apply", "--server-side", "--force-conflicts", "-f", str(file))

    def _here(self, item: KubeObject) -> KubeObject:
        return item if item["kind"] in ("Node", "PersistentVolume") else {**item, "metadata": {**item["metadata"], "namespace": self.namespace}}

    def nodes(self, *nodes: KubeObject, keep: bool = False) -> None:
        """Add nodes and wait until they are ready. ``clear`` removes them, unless ``keep``."""
        asked = {item["metadata"]["name"]: {taint["key"] for taint in item["spec"]["taints"]} for item in nodes}
        self.apply(*nodes)
        for item in nodes:
            pool = item["metadata"]["labels"][POOL]
            self.pools[pool] = self.pools.get(pool, 0) + 1
            (self._kept if keep else self._passing).append(item["metadata"]["name"])
        listing = Listing.of(self.core.list_node, label_selector=POOL)

        def ready(seen: dict[str, KubeObject]) -> bool:
            # Until a node is ready it has a taint of the node controller.
            return all(name in seen and {taint["key"] for taint in seen[name]["spec"]["taints"]} == taints for name, taints in asked.items())

        assert listing.until(ready), listing.objects

    def kinds(self, count: int) -> dict[str, str]:
        """Return a pool for each kind of GPU: one node with ``count`` GPUs. The nodes stay for the next test."""
        pools = {kind: f"{kind}-{count}" for kind in KINDS}
        missing = [node(pool, KINDS[kind], count) for kind, pool in pools.items() if pool not in self.pools]
        if missing:
            self.nodes(*missing, keep=True)
        return pools

    def claims(self, objects: Iterable[KubeObject], workloads: Iterable[KubeObject] = (), **volume: Any) -> None:
        """Create the release's PVCs in the tests' StorageClass, and a volume for each; ``volume``: more of the volumes' specification.

        PVCs that only a workload names, because users make them, are created too.
        """
        claims = [copy.deepcopy(body) for body in objects if body["kind"] == "PersistentVolumeClaim"]
        named = {entry["persistentVolumeClaim"]["claimName"] for body in workloads for entry in volumes_of(body) if "persistentVolumeClaim" in entry}
        for name in sorted(named - {claim["metadata"]["name"] for claim in claims}):
            spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
            claims.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
        if not claims:
            return
        volumes = []
        for claim in claims:
            name, spec = claim["metadata"]["name"], claim["spec"]
            spec["storageClassName"] = STORAGE_CLASS
            volumes.append(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": f"{self.namespace}-{name}", "labels": {POOL: self.namespace}},
                    "spec": {
                        "storageClassName": STORAGE_CLASS,
                        "capacity": spec["resources"]["requests"],
                        "accessModes": spec["accessModes"],
                        "persistentVolumeReclaimPolicy": "Retain",
                        "claimRef": {"namespace": self.namespace, "name": name},
                        "hostPath": {"path": "/nowhere"},
                        **volume,
                    },
                }
            )
        self.apply(*volumes, *claims)
        listing = Listing.of(self.core.list_namespaced_persistent_volume_claim, namespace=self.namespace)
        assert listing.until(lambda seen: all(item["status"]["phase"] == "Bound" for item in seen.values())), listing.objects

    def pods(self) -> Listing:
        return Listing.of(self.core.list_namespaced_pod, namespace=self.namespace)

    def verdicts(self, count: int, placed: Collection[str] = ()) -> list[Verdict]:
        """Return the scheduler's decision for every pod, once there are ``count`` pods.

        ``placed`` has names of pods or pools: such a pod must be placed. For another pod the first decision counts.
        """

        def settled(pod: KubeObject) -> bool:
            verdict = self._verdict(pod)
            return verdict is not None and bool(verdict.node or not {verdict.pod, verdict.pool} & set(placed))

        listing = self.pods()
        listing.until(lambda seen: len(seen) == count and all(map(settled, seen.values())))
        verdicts = [verdict for pod in listing.objects.values() if (verdict := self._verdict(pod))]
        assert len(listing.objects) == len(verdicts) == count, listing.objects
        return verdicts

    def _verdict(self, pod: KubeObject) -> Verdict | None:
        name, pool = pod["metadata"]["name"], pod["metadata"]["labels"][POOL]
        decided = condition(pod, "PodScheduled")
        if decided.get("status") == "True":
            return Verdict(name, pool, self.pools[pool], node=pod["spec"]["nodeName"])
        if decided.get("reason") == "Unschedulable" and not any(words in decided["message"] for words in NOT_YET):
            return Verdict(name, pool, self.pools[pool], message=decided["message"])
        return None

    def rollout(self, name: str, done: Callable[[KubeObject], bool] = complete) -> KubeObject:
        """Return the Deployment as soon as ``done`` holds."""
        listing = Listing.of(self.apps.list_namespaced_deployment, namespace=self.namespace, field_selector=f"metadata.name={name}")
        assert listing.until(lambda seen: name in seen and done(seen[name])), listing.objects.get(name, {}).get("status")
        return listing.objects[name]

    def stop(self) -> None:
        """Delete all workloads: owners first, so that no pod is created again, then the pods without a grace period."""
        self.apps.delete_collection_namespaced_deployment(self.namespace)
        self.apps.delete_collection_namespaced_replica_set(self.namespace)
        self.core.delete_collection_namespaced_pod(self.namespace, grace_period_seconds=0)
        listing = self.pods()
        assert listing.until(lambda seen: not seen), listing.objects

    def clear(self) -> None:
        """Delete workloads, volumes, and then the nodes that are not kept. Without its node a pod would never end."""
        self.stop()
        self.core.delete_collection_namespaced_persistent_volume_claim(self.namespace)
        listing = Listing.of(self.core.list_namespaced_persistent_volume_claim, namespace=self.namespace)
        assert listing.until(lambda seen: not seen), listing.objects
        self.core.delete_collection_persistent_volume(label_selector=f"{POOL}={self.namespace}")
        for name in self._passing:
            self.core.delete_node(name)
        self.pools = {pool: 1 for pool in self._kept}
        self._passing = []
