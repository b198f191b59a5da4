"""A Kubernetes to install on: kind where a Docker engine answers, else a one-node cluster of genuine components."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from scout_chat.core.errors import UserError

PROVIDERS = ("kind", "one-node")


def provider(name: str | None = None) -> ModuleType:
    """The module that brings the cluster up: ``PREPARATIONS``, ``up(say)``, ``down(say)``, ``status()``, ``kubeconfig()``, ``chat_url()``.

    Without a name: kind if a Docker engine answers, else one-node. Raises UserError if neither can work here.
    """
    from scout_chat.cluster import kind
    from scout_chat.cluster.one_node import node

    if name not in (None, *PROVIDERS):
        raise UserError(f"there is no provider {name}", f"Providers: {', '.join(PROVIDERS)}")
    if name == "kind" or (name is None and docker_answers()):
        if not docker_answers():
            raise UserError("kind needs a Docker engine, and none answers (docker info)", "Start Docker, or use --provider one-node on Linux as root.")
        return kind
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UserError(
            "no Docker engine answers, and a one-node cluster needs Linux and root",
            "Start Docker (then kind is used), or run the command as root on Linux.",
        )
    return node


def docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=20).returncode == 0


def kubeconfig(name: str | None = None) -> Path:
    """The kubeconfig of the running cluster. Raises UserError if none is up."""
    file = provider(name).kubeconfig()
    if not file.exists():
        raise UserError("no cluster is up", "Bring one up: scout-chat cluster up")
    return file
