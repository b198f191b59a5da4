"""kind (Kubernetes in Docker) as a provider: images come from their registries, as in a usual cluster, but for vllm-router's, which has none."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import yaml

from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import cache
from scout_chat.core.progress import Reporter, silent
from scout_chat.core.tools import tool
from scout_chat.images.archive import version
from scout_chat.images.store import RECIPES

CLUSTER = "scout-chat"
CHAT_PORT = 30080
# Names no node image: kind pulls the one that its pinned release was published with, for the pinned Kubernetes.
CONFIG: KubeObject = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "nodes": [{"role": "control-plane", "extraPortMappings": [{"containerPort": CHAT_PORT, "hostPort": CHAT_PORT, "listenAddress": "127.0.0.1"}]}],
}


def get_tools(progress: Reporter = silent) -> None:
    """Fetch the programs that kind needs."""
    for name in ("kind", "kubectl", "helm"):
        tool(name, progress)


class Kind:
    """A kind cluster named ``scout-chat``. It pulls images and weights itself."""

    name = "kind"
    preparations: ClassVar[dict[str, Callable[[Reporter], object]]] = {"tools": get_tools}

    def up(self, progress: Reporter = silent) -> None:
        """Create the cluster, or take the existing one. Raises UserError with kind's own message if that fails."""
        kind = tool("kind", progress)
        if CLUSTER in _run(kind, "get", "clusters").split():
            _run(kind, "export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", str(self.kubeconfig()))
        else:
            progress("creating the cluster (the first time pulls its image)")
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump(CONFIG, file)
                file.flush()
                _run(kind, "create", "cluster", "--name", CLUSTER, "--config", file.name, "--kubeconfig", str(self.kubeconfig()), "--wait", "180s")
        progress("building the router's image")
        image = f"scout-chat/vllm-router:v{version('vllm-router')}"
        _run("docker", "build", "--quiet", "--tag", image, str(RECIPES / "vllm-router"))
        _run(kind, "load", "docker-image", image, "--name", CLUSTER)

    def down(self, progress: Reporter = silent) -> None:
        """Delete the cluster."""
        progress("deleting the cluster")
        _run(tool("kind", progress), "delete", "cluster", "--name", CLUSTER)
        self.kubeconfig().unlink(missing_ok=True)

    def status(self) -> dict[str, str]:
        """Return ``{"kind": "running"}``, or nothing if there is no cluster."""
        return {"kind": "running"} if CLUSTER in _run(tool("kind"), "get", "clusters").split() else {}

    def kubeconfig(self) -> Path:
        """Return the kubeconfig in the user cache."""
        return cache("kind", "kubeconfig")

    def chat_url(self) -> str:
        """Return the mapped NodePort on loopback."""
        return f"http://127.0.0.1:{CHAT_PORT}"


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise UserError(
            f"{Path(command[0]).name} {' '.join(command[1:3])} failed: {result.stderr.strip()[-1500:]}",
            "Is the Docker engine healthy, and is there room for an image of 1 GB?",
        )
    return result.stdout
