"""Proves: the one-node cluster survives the death of all its processes, leaves nothing when it is taken down, and refuses to start where
something else has its ports, its interface or the machine.

Each test first brings the node into the state that it needs. Other modules find the node up again (conftest.py). Does not prove: a
reboot of the machine.
"""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from scout_chat.cluster import host
from scout_chat.cluster.one_node import cleanup, layout, node
from scout_chat.core.command import run
from scout_chat.core.errors import UserError
from scout_chat.images import archive

pytestmark = pytest.mark.usefixtures("one_node")

NODE = node.OneNode()
KINDS = ("processes", "mounts", "interfaces", "chains", "cgroups", "files")


@pytest.fixture
def up() -> None:
    """The node runs."""
    if set(NODE.status().values()) != {"running"}:
        NODE.up()


@pytest.fixture
def down() -> None:
    """There is no node."""
    NODE.down()


def traces() -> dict[str, object]:
    """Return what a machine shows of a node, by kind."""
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


@pytest.mark.usefixtures("up")
def test_the_death_of_every_process_is_survived() -> None:
    """kill -9 of all of them, with containers and their shims. The next ``up`` uses what is left, and pods run again."""
    NODE.kubectl("create", "deployment", "survivor", f"--image={archive.BASE}")
    NODE.kubectl("rollout", "status", "deployment/survivor", "--timeout=60s")
    for pid in host.processes_with(str(layout.RUN)) + host.processes_with(f"{layout.STATE}/"):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while set(NODE.status().values()) != {"stopped"}:
        assert time.monotonic() < deadline, NODE.status()
    NODE.up()
    assert set(NODE.status().values()) == {"running"}
    # The API server may still list the dead container as ready until the kubelet reports it. A new pod's readiness is proof.
    NODE.kubectl("rollout", "restart", "deployment/survivor")
    NODE.kubectl("rollout", "status", "deployment/survivor", "--timeout=120s")
    NODE.kubectl("delete", "deployment", "survivor")


@pytest.mark.usefixtures("up")
def test_a_second_checkout_is_told_whose_node_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "ROOT", Path("/elsewhere/scout-chat"))
    with pytest.raises(UserError, match=f"a node that {node.owner()} started is up on this machine"):
        NODE.up()
    assert set(NODE.status().values()) == {"running"}


@pytest.mark.usefixtures("up")
def test_down_leaves_nothing() -> None:
    """Of a node with a running pod."""
    NODE.kubectl("create", "deployment", "left", f"--image={archive.BASE}")
    NODE.kubectl("rollout", "status", "deployment/left", "--timeout=60s")
    found = traces()
    assert [kind for kind in KINDS if not found[kind]] == []
    NODE.down()
    assert {kind: found for kind, found in traces().items() if found} == {}


@pytest.mark.usefixtures("down")
@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 10257), ("0.0.0.0", 6443)])
def test_a_taken_port_is_refused_and_changes_nothing(address: str, port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        with pytest.raises(UserError, match=rf"port {port} on [\d.]+ is taken by \w+ \(pid \d+\)"):
            NODE.up()
    assert not any(traces().values())


@pytest.mark.usefixtures("down")
def test_a_taken_interface_is_refused_and_left_alone() -> None:
    run("ip", "link", "add", layout.BRIDGE, "type", "bridge")
    try:
        with pytest.raises(UserError, match=f"the interface {layout.BRIDGE} exists and is not this node's"):
            NODE.up()
        assert {kind: found for kind, found in traces().items() if found} == {"interfaces": [layout.BRIDGE]}
    finally:
        run("ip", "link", "delete", layout.BRIDGE)
