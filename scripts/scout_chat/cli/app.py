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

from scout_chat.chart import archives, snapshots
from scout_chat.chart.scenarios import scenarios
from scout_chat.chat import quickstart
from scout_chat.cluster import provider as clusters
from scout_chat.core import tools
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.core.pins import pins
from scout_chat.core.progress import Phases, console

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A private chat on Kubernetes, and the harness that proves its chart."
)
chat_app = typer.Typer(no_args_is_help=True, help="The local chat: everything from a node to the first answer.")
cluster_app = typer.Typer(no_args_is_help=True, help="A Kubernetes to install on.")
app.add_typer(chat_app, name="chat")
app.add_typer(cluster_app, name="cluster")
vllm_app = typer.Typer(no_args_is_help=True, help="What each vLLM release accepts, as schema/vllm records it.")
app.add_typer(vllm_app, name="vllm")

Provider = Annotated[str | None, typer.Option(help="kind, or one-node; by default kind where a Docker engine answers.")]


@chat_app.command("up")
def chat_up(provider: Provider = None, question: Annotated[str, typer.Option(help="What to ask first.")] = quickstart.QUESTION) -> None:
    """Bring up a node, install the chart with the local preset, ask the first question."""
    quickstart.up(clusters.choose(provider), question)


@chat_app.command("down")
def chat_down(provider: Provider = None) -> None:
    """Take the chat and its node away: processes, mounts, interfaces, files."""
    cluster_down(provider)


@chat_app.command("screenshot")
def chat_screenshot(
    path: Path,
    question: Annotated[str, typer.Option(help="What to ask.")] = quickstart.QUESTION,
    expect: Annotated[str | None, typer.Option(help="What the answer must hold.")] = None,
    provider: Provider = None,
) -> None:
    """Ask in a real browser (Chromium) and save what it shows as a PNG."""
    from scout_chat.chat.browser import screenshot_chat

    account = quickstart.account(clusters.choose(provider))
    print(screenshot_chat(account.url, account.email, account.password, question, path, expect))
    console.print(f"saved {path}")


@cluster_app.command("up")
def cluster_up(provider: Provider = None) -> None:
    """Bring the cluster up, or finish what an interruption left."""
    module = clusters.choose(provider)
    Phases().run({**module.preparations, "node": module.up})
    console.print(f"export KUBECONFIG={module.kubeconfig()}", soft_wrap=True)


@cluster_app.command("down")
def cluster_down(provider: Provider = None) -> None:
    """Take the cluster away with everything on it."""
    with Phases().phase("down") as progress:
        clusters.choose(provider).down(progress)


@cluster_app.command("status")
def cluster_status(provider: Provider = None) -> None:
    """What runs. Exit status 1 if nothing does, or a part is missing."""
    states = clusters.choose(provider).status()
    for name, state in states.items():
        print(f"{name:<26} {state}")
    if not states:
        print("no cluster is up")
    raise typer.Exit(0 if states and set(states.values()) == {"running"} else 1)


@cluster_app.command("kubeconfig")
def cluster_kubeconfig(provider: Provider = None) -> None:
    """Print the path of the kubeconfig."""
    print(clusters.kubeconfig(provider))


@app.command("charts")
def charts_command() -> None:
    """Get the two upstream chart archives, verified, to where Helm looks for them."""
    with Phases().phase("charts") as progress:
        for archive in archives.vendor(progress):
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
def snapshot_command(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with status 1 if a snapshot differs.")] = False) -> None:
    """Render every scenario with the real chart archives and write tests/snapshots."""
    if not check and os.environ.get("CI"):
        raise UserError("CI never writes snapshots", "Run `make snapshots` where you can read the difference, and commit it.")
    archives.vendor()
    lines = [line for case in scenarios().values() for line in snapshots.differences(case)] if check else snapshots.update()
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
    from scout_chat.review import consequences, diff
    from scout_chat.review.html import html_page
    from scout_chat.review.markdown import markdown_comment
    from scout_chat.review.terminal import terminal_text

    worst = consequences.severity(fail_on) if fail_on else None
    report = diff.run(source, scenario or [], values or [], release, namespace)
    more = f"The page has all of them ({html.name})." if html else ""
    for path, text in ((html, lambda: html_page(report)), (markdown, lambda: markdown_comment(report, more))):
        if path:
            save(path, text())
    Console(highlight=False).print(terminal_text(report), soft_wrap=True)
    raise typer.Exit(1 if worst and report.at_least(worst) else 0)


def save(path: Path, text: str) -> None:
    """Raises UserError where the file cannot be written."""
    try:
        path.write_text(text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


@app.command("generate")
def generate_command(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with status 1 if a file is stale.")] = False) -> None:
    """Write every generated file: the values schema, the reference of values, the presets and more."""
    from scout_chat.maintain import generate

    if not check:
        print("\n".join(f"written: {path}" for path in generate.write()) or "every file was as generated")
    elif stale := generate.stale():
        raise UserError(f"not as generated: {', '.join(stale)}", "Run scout-chat generate, and read what it changed: git diff")


GpuName = Annotated[str, typer.Option("--gpu", help="A GPU of schema/catalog/gpus.yaml, for example a100-80.")]
Context = Annotated[str | None, typer.Option("--context", help="Tokens of context, for example 32768 or 32k.")]
ConcurrentChats = Annotated[
    int | None,
    typer.Option(
        "--concurrent-chats",
        help="Chats of a full context that must fit in the KV cache at the same time. That is the number of people in the chat, "
        "times the share of their time in which they wait for an answer (docs/planner.md).",
    ),
]


def renamed_users(value: int | None) -> None:
    """Raise UserError for ``--users``, the former name of ``--concurrent-chats``."""
    if value is not None:
        raise UserError("--users is now called --concurrent-chats: it counts chats at the same time, not people", f"Give --concurrent-chats {value} instead.")


Users = Annotated[int | None, typer.Option("--users", hidden=True, callback=renamed_users)]
KvDtype = Annotated[str, typer.Option("--kv-dtype", help="The cache's numbers: auto (bf16) or fp8.")]
BatchedTokens = Annotated[int, typer.Option("--max-num-batched-tokens", help="vLLM's argument: tokens in one step.")]


def tokens(text: str | None) -> int | None:
    """32768, 32k and 32K are one number. Raises UserError for none."""
    if text is None:
        return None
    number, thousand = (text[:-1], 1024) if text[-1:] in "kK" else (text, 1)
    if not number.isdecimal():
        raise UserError(f"--context {text!r} is no number of tokens", "For example 32768, or 32k.")
    return int(number) * thousand


def kv_dtype_of(text: str) -> str:
    if text not in ("auto", "fp8"):
        raise UserError(f"--kv-dtype {text!r} is not known", "auto (bf16) or fp8")
    return text


@app.command("plan")
def plan_command(
    model: Annotated[str | None, typer.Argument(help="A model of schema/catalog/models, a repository's name, or a config.json.")] = None,
    gpu: GpuName = "",
    gpus: Annotated[int | None, typer.Option(help="GPUs of one engine.")] = None,
    context: Context = None,
    concurrent_chats: ConcurrentChats = None,
    users: Users = None,
    kv_dtype: KvDtype = "auto",
    kv_gib: Annotated[
        float | None, typer.Option(help="GiB left for the cache of each GPU, where that is known: then exactly what vLLM would make of it.")
    ] = None,
    tensor_parallel: Annotated[int | None, typer.Option(help="The same as --gpus, in vLLM's words.")] = None,
    max_num_batched_tokens: BatchedTokens = 2048,
    max_num_seqs: Annotated[int | None, typer.Option(help="vLLM's argument: sequences in one step; by default twice the concurrent chats.")] = None,
    utilization: Annotated[float | None, typer.Option(help="vLLM's --gpu-memory-utilization; by default 0.92, or 0.95 where that is needed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every model of the catalogue on that GPU, what fits first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    picture_file: Annotated[
        Path | None, typer.Option("--picture", help="Write a picture as well, chats against context for every GPU: PATH.svg or PATH.png.")
    ] = None,
) -> None:
    """What fits where, and for how many. Exit status 1 if what is asked for does not fit."""
    import json

    from scout_chat.planning import catalog, lookup, picture, report
    from scout_chat.planning.advice import ranking
    from scout_chat.planning.planner import CONTEXT, PlanRequest, plan

    if gpus and tensor_parallel and gpus != tensor_parallel:
        raise UserError(
            f"--gpus {gpus} and --tensor-parallel {tensor_parallel} differ: one engine spreads over all of its GPUs",
            "Give one of them; for more engines: --replicas of scout-chat preset.",
        )
    spread, card, length = tensor_parallel or gpus or 1, lookup.find_gpu(gpu) if gpu and gpu != "cpu" else None, tokens(context)
    if everything:
        if model or not card:
            raise UserError("plan --all needs --gpu, and no model")
        rows = ranking(card, spread, length, concurrent_chats)
        if as_json:
            print(json.dumps(report.ranking_as_json(rows), indent=1))
        else:
            Console(width=160).print(report.ranking(rows, concurrent_chats))
        return
    if not model:
        raise UserError("plan needs a model, or --all", f"Models: {', '.join(catalog.models())}")
    found, checkpoint = lookup.find_model(model)
    ask = PlanRequest(
        found, checkpoint, card, spread, length or min(CONTEXT, found.longest), concurrent_chats, kv_dtype_of(kv_dtype), max_num_batched_tokens,
        max_num_seqs, utilization, kv_gib, "cpu" if gpu == "cpu" else "cuda",
    )  # fmt: skip
    answer = plan(ask)
    if as_json:
        print(json.dumps(report.as_json(answer), indent=1))
    else:
        print(report.text(answer))
    if picture_file:
        picture.save(ask, picture_file)
    raise typer.Exit(0 if answer.fits else 1)


@app.command("calibrate")
def calibrate_command(
    source: Annotated[str | None, typer.Argument(metavar="LOG|URL", help="An engine's start-up log (- for a pipe), or http://host:port.")] = None,
    model: Annotated[str, typer.Option(help="Its model in the catalogue, or a config.json, where the engine's own name is not known.")] = "",
    gpu: Annotated[str, typer.Option(help="Its GPU, to compare the estimates too; cpu for an engine without one.")] = "",
    gpus: Annotated[int, typer.Option(help="GPUs of the engine, where it does not say.")] = 1,
    max_num_batched_tokens: BatchedTokens = 2048,
    published: Annotated[bool, typer.Option("--published", help="Compare with the logs of others in schema/catalog/reference-logs.yaml.")] = False,
) -> None:
    """What a running engine says of its memory, beside what the planner says."""
    from scout_chat.planning import calibration, lookup
    from scout_chat.planning import reference_logs as logs

    if published == bool(source):
        raise UserError("calibrate needs one of a log, an engine's address, and --published", calibration.HOW)
    table = Table("figure", Column("planner", justify="right"), Column("engine", justify="right"), Column("error", justify="right"), box=None)

    def row(name: str, said: float, real: float | None) -> None:
        digits = 0 if isinstance(said, int) else 2
        error = f"{100 * (said / real - 1):+.2f} %" if real else ""
        table.add_row(name, f"{said:,.{digits}f}", f"{real:,.{digits}f}" if real is not None else "not said", error)

    if published:
        for log in logs.logs():
            row(f"{log.what} ({log.gives})", log.predicted(), log.published)
    else:
        engine = calibration.read(source)
        asked = calibration.plan_request(
            engine, model, None if gpu in ("", "cpu") else lookup.find_gpu(gpu), "cpu" if gpu == "cpu" else "cuda",
            tensor_parallel=gpus, max_num_batched_tokens=max_num_batched_tokens,
        )  # fmt: skip
        print(f"{asked.model.title}, {asked.context} tokens, {asked.kv_gib:.2f} GiB of cache, vLLM {engine.version or 'of a release that it does not say'}")
        for figure in calibration.comparison(engine, asked):
            row(*figure)
    Console(width=120).print(table)


@app.command("preset")
def preset_command(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models of schema/catalog/models, or repositories of theirs; MODEL@GPU or MODEL@GPUxN for GPUs of its own.")
    ] = None,
    gpu: Annotated[str, typer.Option(help="A GPU of schema/catalog/gpus.yaml, or cpu.")] = "",
    gpus: Annotated[int, typer.Option(help="GPUs of one engine.")] = 1,
    context: Context = None,
    concurrent_chats: ConcurrentChats = None,
    users: Users = None,
    kv_dtype: KvDtype = "auto",
    kv_gib: Annotated[int | None, typer.Option(help="With --gpu cpu: GiB of memory for the cache.")] = None,
    max_num_batched_tokens: BatchedTokens = 2048,
    replicas: Annotated[int, typer.Option(help="Engines of each model.")] = 1,
    weights: Annotated[str, typer.Option(help="Where the weights are, if not on the hub: nfs://SERVER/PATH, claim:NAME, or /PATH/ON/THE/NODE.")] = "",
    prefetch: Annotated[bool, typer.Option("--prefetch", help="Fetch and verify the weights before the engine starts.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="The weights are on the volume already; nothing is fetched.")] = False,
    token_secret: Annotated[str, typer.Option(help="A Secret with the hub's token (key: token), for gated models.")] = "",
    release: Annotated[str, typer.Option(help="The release's name, which counts in names of Services.")] = "chat",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to a file.")] = None,
) -> None:
    """Write a values file for one or more models, planned, with comments."""
    from scout_chat.presets import writer
    from scout_chat.presets.request import PresetRequest

    request = PresetRequest(
        models=tuple(models or ()), gpu=gpu, gpus=gpus, context=tokens(context), concurrent_chats=concurrent_chats,
        kv_dtype=kv_dtype_of(kv_dtype), kv_gib=kv_gib, max_num_batched_tokens=max_num_batched_tokens,
        replicas=replicas, weights=weights, prefetch=prefetch, offline=offline, token_secret=token_secret, release=release,
    )  # fmt: skip
    text = writer.write(request)
    if output:
        save(output, text)
    else:
        print(text, end="")


@vllm_app.command("record")
def vllm_record(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with status 1 if the record differs.")] = False) -> None:
    """Ask the pinned vLLM release what it accepts and write schema/vllm."""
    from scout_chat.vllm import release

    with Phases().phase("vllm") as progress:
        if not check:
            print(f"written: {release.update(progress).relative_to(ROOT)}")
        elif lines := release.changes(release.recorded(), release.extract(progress)):
            print("\n".join(lines))
            raise UserError("schema/vllm is not what the pinned vLLM says", "Run scout-chat vllm record, and read what it changed: git diff schema/vllm")


@vllm_app.command("diff")
def vllm_diff(old: str, new: str) -> None:
    """Show what changed between two recorded vLLM releases."""
    from scout_chat.vllm import release

    print("\n".join(release.changes(release.recorded(old), release.recorded(new))) or "nothing changed")


@app.command("values-coverage")
def values_coverage_command() -> None:
    """Change every value that the schema accepts, once, and show those that change no object."""
    from scout_chat.values import coverage

    archives.vendor()
    verdicts, waivers = coverage.run(), coverage.plan().waivers
    dead = [verdict for verdict in verdicts if not verdict.alive]
    for verdict in dead:
        print(f"dead: {verdict.change.path}  {' '.join(verdict.refusals)}")
    for path, reason in waivers.items():
        print(f"waived: {path}  {reason}")
    print(f"values documented {len(verdicts) + len(waivers)}, alive {len(verdicts) - len(dead)}, waived {len(waivers)}, dead {len(dead)}")
    if dead:
        raise UserError(f"{len(dead)} values change nothing", "Remove the key from schema/values, or say in tests/values-coverage.yaml how it shows.")


@app.command("lint")
def lint_command() -> None:
    """`ct lint` where chart-testing is installed, else helm lint for each values file that chart-testing would take."""
    from scout_chat.maintain.lint import lint

    for line in lint():
        print(line)


@app.command("test")
def test_command(tier: Annotated[str, typer.Argument(help="static, cluster or all")] = "all") -> None:
    """Run the test tiers that this machine can; say why another cannot."""
    if tier not in ("static", "cluster", "all"):
        raise UserError(f"there is no tier {tier}", "Tiers: static, cluster, all")
    with Phases().phase("tools") as progress:
        for name in ("helm", "helm3"):
            tools.tool(name, progress)
        # chart-testing is asked where it can be had; the checks that stand in for it are asked everywhere.
        with contextlib.suppress(UserError):
            tools.tool("ct", progress)
    quickstart.get_charts()
    failed = 0
    if tier != "cluster":
        # In one process: the renders, which take the time, are made on every core before the first test.
        failed |= _pytest("tests/static")
    if tier != "static":
        try:
            module = clusters.choose()
        except UserError as error:
            console.print(f"[yellow]cluster tier not run:[/] {_plain(str(error))}")
        else:
            Phases().run(module.preparations)
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
