"""Run the test tiers: ``static`` (no cluster) and ``cluster`` (real pods)."""

import contextlib
import subprocess
import sys

from rich.markup import escape

from scout_chat.chat import quickstart
from scout_chat.cluster.provider import choose
from scout_chat.core import tools
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.core.progress import Phases, console

TIERS = ("static", "cluster", "all")


def run(tier: str) -> int:
    """Run one tier or all of them and return pytest's exit status, which is not 0 if any tier failed.

    A tier that cannot run on this machine is skipped with a printed reason. Raises UserError for a tier that does not exist.
    """
    if tier not in TIERS:
        raise UserError(f"there is no tier {tier}", f"Tiers: {', '.join(TIERS)}")
    get_tools()
    quickstart.get_charts()
    failed = 0
    if tier != "cluster":
        failed |= pytest("tests/static", "--numprocesses", "auto", "--dist", "worksteal")
    if tier != "static":
        failed |= run_cluster_tier()
    return failed


def get_tools() -> None:
    """Fetch or build the tools of both tiers. chart-testing is optional: where it cannot be had, ``scout-chat lint`` runs the same checks without it."""
    with Phases().phase("tools") as progress:
        for name in ("helm", "helm3"):
            tools.tool(name, progress)
        with contextlib.suppress(UserError):
            tools.tool("ct", progress)


def run_cluster_tier() -> int:
    """Prepare a cluster and run the tests on it; 0, with a printed reason, where this machine cannot have one."""
    try:
        cluster = choose()
    except UserError as error:
        console.print(f"[yellow]cluster tier not run:[/] {escape(str(error))}")
        return 0
    Phases().run(cluster.preparations)
    return pytest("tests/cluster", "-v")


def pytest(*arguments: str) -> int:
    """Run pytest in the repository and return its exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT).returncode
