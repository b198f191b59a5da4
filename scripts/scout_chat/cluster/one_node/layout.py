"""Names, addresses, ports and folders of the one-node cluster, and the command lines of its clients."""

import subprocess
from pathlib import Path

# STATE lasts until ``down``. RUN has sockets and other files that only running processes need.
STATE = Path("/var/lib/scout-chat/node")
RUN = Path("/run/scout-chat")

NODE = "scout-chat"
CGROUP = "scout-chat"
CNI_NETWORK = "scout-chat"

# The node's address is on a bridge of its own, which carries the alias as a mark.
BRIDGE, POD_BRIDGE = "scout-node0", "scout-pods0"
ALIAS = "scout-chat"
IP = "172.30.0.1"
PODS, SERVICES = "10.244.0.0/24", "10.96.0.0/16"
API = f"https://{IP}:6443"
ETCD = "https://127.0.0.1:23790"
CHAT_PORT = 30080

# What each process listens on.
PORTS = {
    "etcd": [("127.0.0.1", 23790), ("127.0.0.1", 23800)],
    "kube-apiserver": [(IP, 6443)],
    "kube-controller-manager": [("127.0.0.1", 10257)],
    "kube-scheduler": [("127.0.0.1", 10259)],
    "coredns": [(IP, 53)],
    "kubelet": [(IP, 10250), ("127.0.0.1", 10248)],
    "kube-proxy": [("127.0.0.1", 10249), ("127.0.0.1", 10256)],
}

KUBECONFIG = STATE / "admin.kubeconfig"
# For a check in a loop, which must not outlast the loop's deadline. An ``apply`` to an API server that just started may take longer.
CHECK_TIMEOUT = "--request-timeout=5s"


def write(name: str, text: str) -> Path:
    """Write a configuration file into the state folder and return its path."""
    file = STATE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def ctr() -> list[str]:
    """Return the command that talks to the node's containerd."""
    return [str(STATE / "bin/ctr"), "--address", str(RUN / "containerd.sock")]


def kubectl() -> list[str]:
    """Return the administrator's kubectl."""
    return [str(STATE / "bin/kubectl"), f"--kubeconfig={KUBECONFIG}"]


def succeeds(*command: str) -> bool:
    """Return whether the command exits with status 0."""
    return subprocess.run(command, capture_output=True).returncode == 0
