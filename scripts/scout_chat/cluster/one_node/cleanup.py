"""Remove everything that a node left on the machine, whatever state it is in."""

import os
import shutil
from pathlib import Path

from scout_chat.cluster import host
from scout_chat.cluster.one_node.layout import ALIAS, BRIDGE, CGROUP, CNI_NETWORK, POD_BRIDGE, RUN, STATE
from scout_chat.cluster.one_node.network import restore_forwarding
from scout_chat.cluster.processes import Processes, stop
from scout_chat.core.progress import Reporter, silent

# Fixed paths: the kubelet and CNI plugins write here regardless of their configuration.
KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_LOGS = Path("/var/log/containers")


def clean(progress: Reporter = silent) -> None:
    """Remove processes, pods, mounts, interfaces, iptables chains, cgroups and files of the node."""
    progress("processes")
    Processes(STATE, {}).stop_all()
    # The shims of containers, and components that were interrupted before their pid file was written.
    stop(host.processes_with(str(RUN / "containerd.sock")) + host.processes_with(f"{STATE}/"), grace=2)
    progress("pods")
    host.remove_cgroup(CGROUP)
    progress("mounts, interfaces, iptables")
    for folder in (STATE, RUN):
        host.unmount_under(folder)
    host.remove_interface(POD_BRIDGE)
    host.remove_interface(BRIDGE, ALIAS)
    host.remove_chains()
    restore_forwarding()
    progress("files")
    shutil.rmtree(STATE, ignore_errors=True)
    _clean_shared_folders()
    for entry in RUN.iterdir() if RUN.exists() else []:
        if entry.name != "node.lock":
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def _clean_shared_folders() -> None:
    """Remove this node's files from folders that other software may use, then those folders that are empty."""
    for link in CONTAINER_LOGS.glob("*.log"):
        if os.readlink(link).startswith(str(STATE)):
            link.unlink()
    for result in CNI_RESULTS.glob(f"{CNI_NETWORK}-*-eth0"):
        sandbox = result.name.removeprefix(f"{CNI_NETWORK}-").removesuffix("-eth0")
        (CNI_RESULTS / f"cni-loopback-{sandbox}-lo").unlink(missing_ok=True)
        result.unlink()
    # No other kubelet runs in this network namespace: ``up`` refuses to start beside one.
    KUBELET_SOCKET.unlink(missing_ok=True)
    for folder in (CONTAINER_LOGS, KUBELET_SOCKET.parent, KUBELET_SOCKET.parents[1], CNI_RESULTS, CNI_RESULTS.parent, STATE.parent):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
