"""kind (Kubernetes in Docker): real images from their registries, the volumes and network policies of a usual cluster."""

import subprocess
import tempfile
from pathlib import Path

import yaml

from scout_chat.core.errors import UserError
from scout_chat.core.paths import cache
from scout_chat.core.progress import Reporter, silent
from scout_chat.core.tools import tool

NAME = "scout-chat"
CHAT_PORT = 30080
# The node image that this kind release was published with for the pinned Kubernetes; kind pulls it.
CONFIG = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "nodes": [{"role": "control-plane", "extraPortMappings": [{"containerPort": CHAT_PORT, "hostPort": CHAT_PORT, "listenAddress": "127.0.0.1"}]}],
}


def kubeconfig() -> Path:
    return cache("kind", "kubeconfig")


def chat_url() -> str:
    return f"http://127.0.0.1:{CHAT_PORT}"


def get_tools(progress: Reporter = silent) -> None:
    for name in ("kind", "kubectl", "helm"):
        tool(name, progress)


# Images and weights are pulled by the cluster itself.
PREPARATIONS = {"tools": get_tools}


def up(progress: Reporter = silent) -> None:
    """The cluster answers. Raises UserError with kind's own words if it cannot be made."""
    kind = tool("kind", progress)
    if NAME in _run(kind, "get", "clusters").split():
        _run(kind, "export", "kubeconfig", "--name", NAME, "--kubeconfig", str(kubeconfig()))
        return
    progress("creating the cluster (the first time pulls its image)")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(CONFIG, file)
        file.flush()
        _run(kind, "create", "cluster", "--name", NAME, "--config", file.name, "--kubeconfig", str(kubeconfig()), "--wait", "180s")


def down(progress: Reporter = silent) -> None:
    progress("deleting the cluster")
    _run(tool("kind", progress), "delete", "cluster", "--name", NAME)
    kubeconfig().unlink(missing_ok=True)


def status() -> dict[str, str]:
    return {"kind": "running"} if NAME in _run(tool("kind"), "get", "clusters").split() else {}


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise UserError(
            f"{Path(command[0]).name} {' '.join(command[1:3])} failed: {result.stderr.strip()[-1500:]}",
            "Is the Docker engine healthy, and is there room for an image of 1 GB?",
        )
    return result.stdout
