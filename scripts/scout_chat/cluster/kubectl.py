"""kubectl in one namespace, for the commands that wait and look. The cluster tests use the kubernetes client instead."""

import json
import subprocess
from pathlib import Path

from scout_chat.core.errors import UserError
from scout_chat.core.tools import tool


class Kubectl:
    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._base = [tool("kubectl"), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]

    def run(self, *arguments: str) -> str:
        """Output of the command. Raises UserError with kubectl's complaint."""
        result = subprocess.run([*self._base, *arguments], capture_output=True, text=True)
        if result.returncode:
            raise UserError(f"kubectl {' '.join(arguments[:2])} failed: {result.stderr.strip()}")
        return result.stdout

    def get(self, kind: str, name: str) -> dict:
        return json.loads(self.run("get", kind, name, "-o", "json"))

    def objects(self, kind: str, selector: str) -> list[dict]:
        return json.loads(self.run("get", kind, "-l", selector, "-o", "json"))["items"]

    def log(self, pod: str, container: str, previous: bool = False) -> str:
        """The container's last lines; empty if they are gone."""
        command = ["logs", pod, "-c", container, "--tail=60", *(["--previous"] if previous else [])]
        return subprocess.run([*self._base, *command], capture_output=True, text=True).stdout
