"""A Kubernetes of one node on this Linux machine, as root: genuine components, images from package registries, no container engine.

``up`` may be interrupted or killed at any point, and so may the node. The next ``up`` starts what is missing, and ``down`` removes
everything. A machine can have one such node: its addresses and iptables chains are the machine's.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout

from scout_chat.cluster import host
from scout_chat.cluster.one_node import addons, control_plane, kubelet, network
from scout_chat.cluster.one_node.cleanup import clean
from scout_chat.cluster.one_node.layout import CGROUP, CHAT_PORT, IP, KUBECONFIG, RUN, STATE
from scout_chat.cluster.processes import Processes
from scout_chat.core.command import install_packages, run
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.core.progress import Reporter, silent
from scout_chat.core.tools import arch, tool
from scout_chat.images import weights
from scout_chat.images.archive import archive as image_archive
from scout_chat.images.archive import node_store

# GiB for unpacked images, etcd and volumes. Runtimes and weights are checked where they are installed.
DISK_GIB = 3
# Commands, or files, and the Debian packages that have them.
PACKAGES = {
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
TOOLS = [
    "containerd", "containerd-shim-runc-v2", "ctr", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
    "kubelet", "kube-proxy", "kubectl", "coredns", "local-path-provisioner", "kwok",
]  # fmt: skip


def get_tools(progress: Reporter = silent) -> dict[str, str]:
    """Return the node's programs, name to path, and install missing Debian packages. Building from source takes minutes, once."""
    if arch() != "amd64":
        raise UserError(f"the one-node cluster is built for amd64, and this machine is {arch()}", "Start a Docker engine; kind is used then.")
    install_packages(PACKAGES)
    return {name: tool(name, progress) for name in [*TOOLS, "helm"]}


class OneNode:
    """The one-node cluster as a provider."""

    name = "one-node"
    preparations: ClassVar[dict[str, Callable[[Reporter], object]]] = {
        "tools": get_tools,
        "images": image_archive,
        "weights": weights.hub_store,
    }

    def up(self, progress: Reporter = silent) -> None:
        """Bring the node up: Ready, with its images and a default StorageClass. Raises UserError if that is not possible."""
        with _locked():
            _refuse_foreign_node()
            binaries = get_tools(progress)
            archive, store = image_archive(progress), node_store(progress)
            weights.hub_store(progress)
            if shutil.disk_usage(_existing(STATE)).free < DISK_GIB << 30:
                raise UserError(f"the node needs {DISK_GIB} GiB under {STATE}; there is less free", "Free some space on that disk.")
            _clean_leftovers()
            fresh = not STATE.exists()
            try:
                processes = _claim(binaries)
            except UserError:
                # An existing node keeps its state; a refused first start leaves nothing behind.
                if fresh:
                    clean(progress)
                raise
            host.create_cgroup(CGROUP)
            pki = control_plane.certificates()
            progress("containerd and control plane")
            kubelet.start_containerd(processes, store)
            control_plane.start(processes, pki)
            progress("images")
            kubelet.import_images(archive)
            progress("kubelet")
            kubelet.start(processes, pki)
            addons.start(processes, progress)

    def down(self, progress: Reporter = silent) -> None:
        """Remove the node: processes, mounts, interfaces, iptables chains, network namespaces, cgroups and files."""
        with _locked():
            clean(progress)

    def status(self) -> dict[str, str]:
        """Return each process and ``running`` or ``stopped``; empty if no node was started."""
        if not STATE.exists():
            return {}
        processes = Processes(STATE, {})
        return {name: "running" if processes.alive(name) else "stopped" for name in processes.names()}

    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return KUBECONFIG

    def chat_url(self) -> str:
        """Return the chat's NodePort on the node's own address."""
        return f"http://{IP}:{CHAT_PORT}"

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator and return its output. Raises UserError as ``core.command.run`` does."""
        return run(tool("kubectl"), f"--kubeconfig={KUBECONFIG}", *arguments, stdin=stdin, check=check)


def owner() -> str:
    """Return the checkout that started the node; empty if there is none."""
    file = STATE / "owner"
    return file.read_text().strip() if file.exists() else ""


def _locked() -> AbstractContextManager[object]:
    """Hold the lock while the node changes. Raises UserError if another command holds it."""
    RUN.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(RUN / "node.lock").acquire(timeout=1)
    except Timeout:
        raise UserError("another command is bringing the node up or down", "Wait for it, then run this again.") from None


def _existing(path: Path) -> Path:
    """Return the nearest parent that exists, or the path itself."""
    while not path.exists():
        path = path.parent
    return path


def _refuse_foreign_node() -> None:
    """Raise UserError if another checkout's node is up, or if this machine already is a node of another Kubernetes."""
    if "running" in OneNode().status().values() and owner() != str(ROOT):
        raise UserError(
            f"a node that {owner()} started is up on this machine, and a machine can have only one",
            f"Take it down first: cd {owner()} && make chat-down",
        )
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, command = (folder / "comm").read_text().strip(), (folder / "cmdline").read_text()
            # A kubelet of kind does not count: it runs in its container's own network namespace.
            same_network = os.readlink(folder / "ns/net") == os.readlink("/proc/self/ns/net")
        except OSError:
            continue
        if name.startswith(("kubelet", "kube-proxy")) and same_network and str(STATE) not in command:
            raise UserError(f"this machine is already a Kubernetes node ({name}, pid {folder.name})", "Install on its cluster, or use another machine.")


def _clean_leftovers() -> None:
    """Remove the state of another checkout's stopped node."""
    if STATE.exists() and owner() != str(ROOT):
        clean()


def _claim(binaries: dict[str, str]) -> Processes:
    """Make this checkout the node's owner and set up its network. Raises UserError that names what is in conflict."""
    STATE.mkdir(parents=True, exist_ok=True)
    (STATE / "owner").write_text(f"{ROOT}\n")
    processes = _processes(binaries)
    network.claim(processes)
    return processes


def _processes(binaries: dict[str, str]) -> Processes:
    """Link the programs into one folder on PATH and return the node's processes.

    Components call each other by plain name, as containerd calls its shim.
    """
    folder = STATE / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in binaries.items():
        link = folder / name
        if not link.is_symlink() or os.readlink(link) != path:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    return Processes(STATE, os.environ | {"PATH": f"{folder}:{os.environ['PATH']}:/usr/sbin:/sbin"})
