"""Choose a Kubernetes to install on: kind where a Docker engine answers, else a one-node cluster of genuine components."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from scout_chat.core.errors import UserError
from scout_chat.core.progress import Reporter, silent

PROVIDERS = ("kind", "one-node")


class Provider(Protocol):
    """A Kubernetes cluster that this machine can bring up and take down."""

    @property
    def name(self) -> str:
        """``kind`` or ``one-node``."""

    @property
    def preparations(self) -> dict[str, Callable[[Reporter], object]]:
        """Steps before ``up``, by the name of their phase, in order. Each is done once per machine."""

    def up(self, progress: Reporter = silent) -> None:
        """Bring the cluster up, or finish what an interruption left. Raises UserError if that fails."""

    def down(self, progress: Reporter = silent) -> None:
        """Take the cluster away with everything on it."""

    def status(self) -> dict[str, str]:
        """Return each part's state, such as ``running``; empty if no cluster is up."""

    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig. The file exists while the cluster is up."""

    def chat_url(self) -> str:
        """Return the address at which a NodePort Service of the chat answers, from this machine only."""


def choose(name: str | None = None) -> Provider:
    """Return the provider of that name; without one, kind if a Docker engine answers, else one-node.

    Raises UserError if the name is unknown, or if the provider cannot work on this machine.
    """
    # Imported here: most commands need neither.
    from scout_chat.cluster.kind import Kind
    from scout_chat.cluster.one_node.node import OneNode

    if name not in (None, *PROVIDERS):
        raise UserError(f"there is no provider {name}", f"Providers: {', '.join(PROVIDERS)}")
    if name == "kind" or (name is None and docker_answers()):
        if not docker_answers():
            raise UserError("kind needs a Docker engine, and none answers (docker info)", "Start Docker, or use --provider one-node on Linux as root.")
        return Kind()
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UserError(
            "no Docker engine answers, and a one-node cluster needs Linux and root",
            "Start Docker (then kind is used), or run the command as root on Linux.",
        )
    return OneNode()


def docker_answers() -> bool:
    """Return whether a Docker engine runs and answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=20).returncode == 0


def kubeconfig(name: str | None = None) -> Path:
    """Return the kubeconfig of the running cluster. Raises UserError if none is up."""
    file = choose(name).kubeconfig()
    if not file.exists():
        raise UserError("no cluster is up", "Bring one up: scout-chat cluster up")
    return file
