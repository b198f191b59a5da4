"""The chart on a cluster: installed, upgraded, tested and removed by Helm."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import charts, recorded
from .errors import UserError
from .paths import CHART
from .render import Case, RenderError, refusal
from .tools import tool


def archives_at_hand() -> bool:
    """Whether the real archives are on this machine (or in ``SCOUT_CHAT_CHARTS``); no download is tried."""
    try:
        charts.vendor(download=False)
    except charts.ChartsMissing:
        return False
    return True


@contextmanager
def chart_for(case: Case) -> Iterator[Path]:
    """The chart's folder: the real one if its archives are at hand, else the recorded render of the case."""
    if archives_at_hand():
        yield CHART
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield recorded.chart(case, Path(folder))


def helm(*arguments: str, kubeconfig: Path, version: str = "helm", timeout: float = 600) -> str:
    """Helm's output. Raises RenderError with the chart's message, or with Helm's own."""
    env = os.environ | {"KUBECONFIG": str(kubeconfig)}
    result = subprocess.run([tool(version), *arguments], capture_output=True, text=True, env=env, timeout=timeout)
    if result.returncode:
        raise RenderError(refusal(result.stderr) or result.stdout.strip())
    return result.stdout


def install(case: Case, kubeconfig: Path) -> str:
    """``helm upgrade --install``; returns Helm's output with the notes. Does not wait for pods."""
    with chart_for(case) as chart:
        command = ["upgrade", "--install", case.release, str(chart), "--namespace", case.namespace, "--create-namespace"]
        return helm(*command, *case.options(), kubeconfig=kubeconfig, version=case.helm)


def uninstall(case: Case, kubeconfig: Path) -> None:
    """Removes the release and waits until its objects are gone; what is annotated to be kept stays."""
    helm("uninstall", case.release, "--namespace", case.namespace, "--wait", "--timeout", "5m", kubeconfig=kubeconfig, version=case.helm)


def test(case: Case, kubeconfig: Path) -> str:
    """``helm test``; returns the logs of the test's pod. Raises UserError with them if it fails."""
    try:
        return helm("test", case.release, "--namespace", case.namespace, "--logs", "--timeout", "8m", kubeconfig=kubeconfig, version=case.helm)
    except RenderError as error:
        raise UserError(f"helm test failed: {error}", f"kubectl -n {case.namespace} logs {case.release}-test-chat") from None
