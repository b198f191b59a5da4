"""Proves: the one-node cluster is a real one, survives the death of all its processes, refuses what it must, and leaves nothing."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest
from scout_chat.cluster import host
from scout_chat.cluster.one_node import cleanup, layout, node
from scout_chat.cluster.provider import Provider
from scout_chat.core.command import run
from scout_chat.core.errors import UserError
from scout_chat.images import archive

Api = kubernetes.client.CoreV1Api
NODE = node.OneNode()


@pytest.fixture(autouse=True)
def only_one_node(provider: Provider) -> None:
    if provider.name != NODE.name:
        pytest.skip("kind is tested by its own project")


@pytest.fixture
def pod(api: Api) -> Iterator[str]:
    """A pod that waits, with Python in it; gone afterwards."""
    NODE.kubectl("run", "probe", f"--image={archive.BASE}", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "sh", "-c", "echo started; sleep 600")
    NODE.kubectl("wait", "--for=condition=Ready", "pod/probe", "--timeout=60s")
    yield "probe"
    NODE.kubectl("delete", "pod", "probe", "--grace-period=0", "--force", "--wait=true")


def test_logs_and_exec_work(pod: str) -> None:
    assert NODE.kubectl("logs", pod) == "started\n"
    assert NODE.kubectl("exec", pod, "--", "echo", "hello") == "hello\n"


def test_a_pod_reaches_the_api_server_with_a_ca_that_it_trusts(pod: str) -> None:
    """By name, through the Service; verified by the certificate that every pod is given."""
    script = (
        "import ssl,urllib.request as u; a='/var/run/secrets/kubernetes.io/serviceaccount/';"
        "r=u.Request('https://kubernetes.default.svc/version',headers={'Authorization':'Bearer '+open(a+'token').read()});"
        "print(u.urlopen(r,context=ssl.create_default_context(cafile=a+'ca.crt')).read().decode())"
    )
    assert json.loads(NODE.kubectl("exec", pod, "--", "python3", "-c", script))["gitVersion"] == "v1.36.3"


def test_a_claim_is_bound_by_the_default_storage_class(api: Api) -> None:
    manifest = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  restartPolicy: Never
  securityContext: {runAsUser: 1000}
  containers:
    - {name: writer, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sh, -c, echo kept > /data/file], volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""
    NODE.kubectl("apply", "-f", "-", stdin=manifest.replace("IMAGE", archive.BASE))
    NODE.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=90s")
    (written,) = layout.STATE.glob("volumes/*/file")
    assert written.read_text() == "kept\n"
    NODE.kubectl("delete", "pod/writer", "pvc/data")


def test_a_fake_gpu_node_takes_a_pod_that_asks_for_a_gpu(api: Api) -> None:
    manifest = """
apiVersion: v1
kind: Node
metadata: {name: gpu, annotations: {kwok.x-k8s.io/node: fake}, labels: {nvidia.com/gpu.memory: "81920"}}
spec: {taints: [{key: nvidia.com/gpu, value: present, effect: NoSchedule}]}
status:
  capacity: {cpu: "32", memory: 256Gi, pods: "10", nvidia.com/gpu: "1"}
  allocatable: {cpu: "32", memory: 256Gi, pods: "10", nvidia.com/gpu: "1"}
---
apiVersion: v1
kind: Pod
metadata: {name: engine}
spec:
  tolerations: [{key: nvidia.com/gpu, operator: Exists}]
  containers: [{name: engine, image: none, resources: {limits: {nvidia.com/gpu: 1}}}]
"""
    NODE.kubectl("apply", "-f", "-", stdin=manifest)
    NODE.kubectl("wait", "--for=condition=Ready", "pod/engine", "--timeout=60s")
    assert NODE.kubectl("get", "pod", "engine", "-o", "jsonpath={.spec.nodeName}") == "gpu"
    NODE.kubectl("delete", "pod/engine", "node/gpu")


def test_the_death_of_every_process_is_survived(api: Api) -> None:
    """kill -9 of all of them, containers and their shims included: up finishes over what is left, and pods run again."""
    NODE.kubectl("create", "deployment", "survivor", f"--image={archive.BASE}")
    NODE.kubectl("rollout", "status", "deployment/survivor", "--timeout=60s")
    for pid in host.processes_with(str(layout.RUN)) + host.processes_with(f"{layout.STATE}/"):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while set(NODE.status().values()) != {"stopped"}:
        assert time.monotonic() < deadline, NODE.status()
    NODE.up()
    assert set(NODE.status().values()) == {"running"}
    # The old container is dead, but the API server learns that from the kubelet: a new pod's readiness is proof.
    NODE.kubectl("rollout", "restart", "deployment/survivor")
    NODE.kubectl("rollout", "status", "deployment/survivor", "--timeout=120s")
    NODE.kubectl("delete", "deployment", "survivor")


def test_a_second_checkout_is_told_whose_node_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "ROOT", Path("/elsewhere/scout-chat"))
    with pytest.raises(UserError, match=f"a node that {node.owner()} started is up on this machine"):
        NODE.up()
    assert set(NODE.status().values()) == {"running"}


def traces() -> dict[str, object]:
    """Everything of a node that a machine could still show."""
    files = [layout.STATE, cleanup.KUBELET_SOCKET, *cleanup.CNI_RESULTS.glob("*"), *layout.RUN.glob("*")]
    interfaces = {link["ifname"] for link in json.loads(run("ip", "-j", "link"))}
    return {
        "processes": host.processes_with(str(layout.RUN)) + host.processes_with(f"{layout.STATE}/"),
        "mounts": host.mounts_under(layout.STATE) + host.mounts_under(layout.RUN),
        "interfaces": sorted(interfaces & {layout.BRIDGE, layout.POD_BRIDGE}),
        "chains": host.chains(),
        "namespaces": run("ip", "netns").split(),
        "cgroups": [str(folder) for folder in host.cgroup_folders(layout.CGROUP) if folder.exists()],
        "files": [str(path) for path in files if path.exists() and path.name != "node.lock"],
    }


def test_down_leaves_nothing() -> None:
    assert all(traces()[kind] for kind in ("processes", "mounts", "interfaces", "chains", "cgroups", "files"))
    NODE.down()
    assert {kind: found for kind, found in traces().items() if found} == {}


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 10257), ("0.0.0.0", 6443)])
def test_a_taken_port_is_refused_and_changes_nothing(address: str, port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        with pytest.raises(UserError, match=rf"port {port} on [\d.]+ is taken by \w+ \(pid \d+\)"):
            NODE.up()
    assert not any(traces().values())


def test_a_taken_interface_is_refused_and_left_alone() -> None:
    run("ip", "link", "add", layout.BRIDGE, "type", "bridge")
    try:
        with pytest.raises(UserError, match=f"the interface {layout.BRIDGE} exists and is not this node's"):
            NODE.up()
        assert {kind: found for kind, found in traces().items() if found} == {"interfaces": [layout.BRIDGE]}
    finally:
        run("ip", "link", "delete", layout.BRIDGE)
