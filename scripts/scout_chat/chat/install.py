"""Install, upgrade, test and uninstall the chart on a cluster with Helm."""

import os
import subprocess
from pathlib import Path

from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import Case, RenderError, refusal
from scout_chat.core.errors import UserError
from scout_chat.core.tools import tool


def helm(*arguments: str, kubeconfig: Path, version: str = "helm", timeout: float = 600) -> str:
    """Run Helm and return its output. Raises RenderError with the chart's message, or with Helm's own."""
    env = os.environ | {"KUBECONFIG": str(kubeconfig)}
    result = subprocess.run([tool(version), *arguments], capture_output=True, text=True, env=env, timeout=timeout)
    if result.returncode:
        raise RenderError(refusal(result.stderr) or result.stdout.strip())
    return result.stdout


def install(case: Case, kubeconfig: Path) -> str:
    """Install or upgrade the release. Return Helm's output with the notes. Does not wait for pods."""
    with chart_for(case) as chart:
        command = ["upgrade", "--install", case.release, str(chart), "--namespace", case.namespace, "--create-namespace"]
        return helm(*command, *case.options(), kubeconfig=kubeconfig, version=case.helm)


def uninstall(case: Case, kubeconfig: Path) -> None:
    """Uninstall the release and wait until its objects are gone. Objects with ``helm.sh/resource-policy: keep`` stay."""
    helm("uninstall", case.release, "--namespace", case.namespace, "--wait", "--timeout", "5m", kubeconfig=kubeconfig, version=case.helm)


def test(case: Case, kubeconfig: Path) -> str:
    """Run ``helm test`` and return the logs of the test's pod. Raises UserError with the logs if the test fails."""
    try:
        return helm("test", case.release, "--namespace", case.namespace, "--logs", "--timeout", "8m", kubeconfig=kubeconfig, version=case.helm)
    except RenderError as error:
        raise UserError(f"helm test failed: {error}", f"kubectl -n {case.namespace} logs {case.release}-test-chat") from None
