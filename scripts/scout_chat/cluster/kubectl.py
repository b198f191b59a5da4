"""kubectl in one namespace, for commands that wait for objects and read them."""

import json
import subprocess
from pathlib import Path

from scout_chat.core.command import run
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.tools import tool


class Kubectl:
    """kubectl with a kubeconfig and a namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._base = [tool("kubectl"), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]

    def run(self, *arguments: str) -> str:
        """Return the command's output. Raises UserError with kubectl's own message."""
        result = subprocess.run([*self._base, *arguments], capture_output=True, text=True)
        if result.returncode:
            raise UserError(f"kubectl {' '.join(arguments[:2])} failed: {result.stderr.strip()}")
        return result.stdout

    def get(self, kind: str, name: str) -> KubeObject:
        """Return one object. Raises UserError if it does not exist."""
        item: KubeObject = json.loads(self.run("get", kind, name, "-o", "json"))
        return item

    def objects(self, kind: str, selector: str) -> list[KubeObject]:
        """Return every object of the kind that the label selector matches."""
        items: list[KubeObject] = json.loads(self.run("get", kind, "-l", selector, "-o", "json"))["items"]
        return items

    def log(self, pod: str, container: str, previous: bool = False) -> str:
        """Return the last 60 lines of the container's log; empty if there is no log.

        ``previous`` takes the log from before the container's last restart.
        """
        command = ["logs", pod, "-c", container, "--tail=60", *(["--previous"] if previous else [])]
        return run(*self._base, *command, check=False)
