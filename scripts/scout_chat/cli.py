"""The command line: parses and prints; what happens is in the modules."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from . import charts, chat, cluster, snapshot, tools
from .errors import UserError
from .paths import ROOT
from .pins import pins
from .progress import Phases, console
from .scenarios import scenarios

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A private chat on Kubernetes, and the harness that proves its chart."
)
chat_app = typer.Typer(no_args_is_help=True, help="The local chat: everything from a node to the first answer.")
cluster_app = typer.Typer(no_args_is_help=True, help="A Kubernetes to install on.")
app.add_typer(chat_app, name="chat")
app.add_typer(cluster_app, name="cluster")

Provider = Annotated[str | None, typer.Option(help="kind, or one-node; by default kind where a Docker engine answers.")]


@chat_app.command("up")
def chat_up(provider: Provider = None, question: Annotated[str, typer.Option(help="What to ask first.")] = chat.QUESTION) -> None:
    """Bring up a node, install the chart with the local preset, ask the first question."""
    chat.up(cluster.provider(provider), question)


@chat_app.command("down")
def chat_down(provider: Provider = None) -> None:
    """Take the chat and its node away: processes, mounts, interfaces, files."""
    cluster_down(provider)


@chat_app.command("screenshot")
def chat_screenshot(
    path: Path,
    question: Annotated[str, typer.Option(help="What to ask.")] = chat.QUESTION,
    expect: Annotated[str | None, typer.Option(help="What the answer must hold.")] = None,
    provider: Provider = None,
) -> None:
    """Ask in a real browser (Chromium) and save what it shows as a PNG."""
    from .browser import screenshot_chat

    account = chat.account(cluster.provider(provider))
    print(screenshot_chat(account.url, account.email, account.password, question, path, expect))
    console.print(f"saved {path}")


@cluster_app.command("up")
def cluster_up(provider: Provider = None) -> None:
    """Bring the cluster up, or finish what an interruption left."""
    module = cluster.provider(provider)
    Phases().run({**module.PREPARATIONS, "node": module.up})
    console.print(f"export KUBECONFIG={module.kubeconfig()}", soft_wrap=True)


@cluster_app.command("down")
def cluster_down(provider: Provider = None) -> None:
    """Take the cluster away with everything on it."""
    with Phases().phase("down") as say:
        cluster.provider(provider).down(say)


@cluster_app.command("status")
def cluster_status(provider: Provider = None) -> None:
    """What runs. Exit status 1 if nothing does, or a part is missing."""
    states = cluster.provider(provider).status()
    for name, state in states.items():
        print(f"{name:<26} {state}")
    if not states:
        print("no cluster is up")
    raise typer.Exit(0 if states and set(states.values()) == {"running"} else 1)


@cluster_app.command("kubeconfig")
def cluster_kubeconfig(provider: Provider = None) -> None:
    """Print the path of the kubeconfig."""
    print(cluster.kubeconfig(provider))


@app.command("charts")
def charts_command() -> None:
    """Get the two upstream chart archives, verified, to where Helm looks for them."""
    with Phases().phase("charts") as say:
        for archive in charts.vendor(say):
            print(f"{archive.name} {archive.version} from {archive.source}")


@app.command("tools")
def tools_command() -> None:
    """Show every tool: version, where it comes from, path."""
    table = Table("tool", "version", "from", Column("path", overflow="fold"), box=None)
    for name in pins().tools:
        found = tools.find(name)
        table.add_row(name, found.version, found.source or "to be fetched", str(found.path or ""))
    Console().print(table)


@app.command("snapshot")
def snapshot_command(
    update: Annotated[bool, typer.Option("--update", help="Write the snapshots anew.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare; exit status 1 if they differ.")] = False,
) -> None:
    """Render every case with the real archives and compare with, or write, tests/snapshots."""
    if update == check:
        raise UserError("snapshot needs one of --update and --check")
    if update and os.environ.get("CI"):
        raise UserError("CI never writes snapshots", "Run `make snapshots` where you can read the difference, and commit it.")
    charts.vendor()
    lines = snapshot.update() if update else [line for case in scenarios().values() for line in snapshot.differences(case)]
    print("\n".join(lines) or "snapshots are as rendered")
    if check and lines:
        raise UserError(f"{len(lines)} snapshots are not as rendered", "Read the difference: make snapshots && git diff tests/snapshots")


@app.command("diff")
def diff_command(
    source: Annotated[
        str, typer.Argument(metavar="[REF|CHART.tgz]", help="What the working tree is compared with: a git revision of this repository, or a packaged chart.")
    ] = "HEAD",
    scenario: Annotated[list[str] | None, typer.Option(help="Only this scenario of tests/scenarios.yaml; repeatable. Every one by default.")] = None,
    values: Annotated[
        list[Path] | None,
        typer.Option("-f", "--values", help="Your own values file, in place of the scenarios; repeatable. One of values/ is each side's own."),
    ] = None,
    release: Annotated[str, typer.Option(help="The release's name; by default each scenario's.")] = "",
    namespace: Annotated[str, typer.Option(help="Its namespace; by default each scenario's.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page as well.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a pull request's comment as well.")] = None,
    fail_on: Annotated[str | None, typer.Option(help="Exit status 1 for a change that severe or more: a consequence, for example engine-reloads.")] = None,
) -> None:
    """Show what changes on the cluster from REF (HEAD: what is not committed) or a package to the working tree, most severe first."""
    from . import diff
    from .diff import consequences
    from .diff import report as pages

    worst = consequences.severity(fail_on) if fail_on else None
    report = diff.run(source, scenario or [], values or [], release, namespace)
    more = f"The page has all of them ({html.name})." if html else ""
    for path, text in ((html, lambda: pages.html(report)), (markdown, lambda: pages.markdown(report, more))):
        if path:
            save(path, text())
    Console(highlight=False).print(pages.terminal(report), soft_wrap=True)
    raise typer.Exit(1 if worst and report.at_least(worst) else 0)


def save(path: Path, text: str) -> None:
    """Raises UserError where the file cannot be written."""
    try:
        path.write_text(text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


@app.command("schema")
def schema_command(
    update: Annotated[bool, typer.Option("--update", help="Write the generated files anew.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare; exit status 1 if they differ.")] = False,
) -> None:
    """Generate values.schema.json and the reference of values from schema/ and, with the archives at hand, the upstream charts' keys."""
    from . import generated

    if update == check:
        raise UserError("schema needs one of --update and --check")
    stale = generated.stale()
    if update:
        generated.update()
        print("\n".join(f"written: {path}" for path in stale) or "every file was as generated")
    elif stale:
        raise UserError(f"not as generated: {', '.join(stale)}", "Run scout-chat schema --update, and read what it changed: git diff")


@app.command("liveness")
def liveness_command() -> None:
    """Change every value that the schema accepts, once, and show those that change no object."""
    from . import liveness

    charts.vendor()
    verdicts, waivers = liveness.run(), liveness.plan().waivers
    dead = [verdict for verdict in verdicts if not verdict.alive]
    for verdict in dead:
        print(f"dead: {verdict.change.path}  {' '.join(verdict.refusals)}")
    for path, reason in waivers.items():
        print(f"waived: {path}  {reason}")
    print(f"values documented {len(verdicts) + len(waivers)}, alive {len(verdicts) - len(dead)}, waived {len(waivers)}, dead {len(dead)}")
    if dead:
        raise UserError(f"{len(dead)} values change nothing", "Remove the key from schema/values, or say in tests/liveness.yaml how it shows.")


@app.command("lint")
def lint_command() -> None:
    """`ct lint` where chart-testing is installed, else helm lint for each values file that chart-testing would take."""
    from .lint import lint

    for line in lint():
        print(line)


@app.command("test")
def test_command(tier: Annotated[str, typer.Argument(help="static, cluster or all")] = "all") -> None:
    """Run the test tiers that this machine can; say why another cannot."""
    if tier not in ("static", "cluster", "all"):
        raise UserError(f"there is no tier {tier}", "Tiers: static, cluster, all")
    with Phases().phase("tools") as say:
        for name in ("helm", "helm3"):
            tools.tool(name, say)
        # chart-testing is asked where it can be had; the checks that stand in for it are asked everywhere.
        with contextlib.suppress(UserError):
            tools.tool("ct", say)
    chat.get_charts()
    failed = 0
    if tier != "cluster":
        # In one process: the renders, which take the time, are made on every core before the first test.
        failed |= _pytest("tests/static")
    if tier != "static":
        try:
            module = cluster.provider()
        except UserError as error:
            console.print(f"[yellow]cluster tier not run:[/] {_plain(str(error))}")
        else:
            Phases().run(module.PREPARATIONS)
            failed |= _pytest("tests/cluster", "-v", "-p", "pytest_helm_charts.plugin")
    raise typer.Exit(failed)


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT).returncode


def main() -> None:
    """Runs the command; a user's mistake is one message and exit status 1, an interruption 130, a wrong option 2."""
    try:
        sys.exit(app(prog_name="scout-chat"))
    except UserError as error:
        console.print(f"[red]Error:[/] {_plain(str(error))}", soft_wrap=True)
        if error.hint:
            console.print(_plain(error.hint), soft_wrap=True)
        sys.exit(1)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
