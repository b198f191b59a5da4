"""`scout-chat test`, `lint`, `generate` and `tools`: what a contributor runs before a commit."""

from typing import Annotated

import typer

from scout_chat.cli import options
from scout_chat.core.errors import UserError


def test(tier: Annotated[str, typer.Argument(metavar="static|cluster|all", help="Which tests to run.")] = "all") -> None:
    """Run the tests that this machine can run.

    static needs no cluster. cluster runs real pods on a cluster that it
    prepares itself; if this machine cannot have one, it prints why.

    Examples:

      scout-chat test static
      scout-chat test
    """
    from scout_chat.maintain import tiers

    raise typer.Exit(tiers.run(tier))


def lint() -> None:
    """Lint the chart as chart-testing does.

    Runs ct lint if chart-testing is installed. Otherwise runs the same checks:
    Chart.yaml, YAML style, the chart's version, and helm lint with each file
    of charts/scout-chat/ci.

    Example:

      scout-chat lint
    """
    from scout_chat.maintain import lint as checks

    for line in checks.lint():
        print(line)


def generate(check: options.Check = False) -> None:
    """Write every generated file but the snapshots: schema, reference, presets.

    Run it after you change schema/, values.yaml or the planner, and commit
    what it writes. With the upstream chart archives it also records their keys.

    Examples:

      scout-chat generate
      scout-chat generate --check
    """
    from scout_chat.maintain import generate as files

    if not check:
        print("\n".join(f"written: {path}" for path in files.write()) or "every generated file is up to date")
    elif stale := files.stale():
        raise UserError(f"generated files are stale: {', '.join(stale)}", "Run scout-chat generate, then read what it changed: git diff")


def bump(
    part: Annotated[str, typer.Argument(metavar="PART", help="vllm, open-webui, chart:NAME, tool:NAME, or a repository of the catalog (OWNER/NAME).")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The new version; for a repository a commit, or main.")],
) -> None:
    """Change the version of a pinned part and show the effect.

    Changes the pin, writes the generated files and the snapshots, and reports:
    arguments, parsers, values or variables that came or went, the files that
    changed, and what an upgrade does on a cluster. Commit everything first. If
    the new version cannot be had, no file changes.

    Examples:

      scout-chat bump vllm 0.33.0
      scout-chat bump chart:vllm-stack 0.1.13
      scout-chat bump openai/gpt-oss-20b 6cee5e81ee83917806bbde320786a8fb61efebee
    """
    from scout_chat.core.progress import Phases
    from scout_chat.maintain import bump as bumping

    with Phases().phase(part) as progress:
        effect = bumping.run(part, version, progress)
    print(bumping.report(effect))


def tools() -> None:
    """List the tools that scout-chat uses: version, origin and path.

    A tool comes from PATH if its version fits, else from the cache. Otherwise
    it is downloaded or built when a command first needs it.

    Example:

      scout-chat tools
    """
    from rich.console import Console
    from rich.table import Column, Table

    from scout_chat.core.pins import pins
    from scout_chat.core.tools import find

    table = Table("tool", "version", "from", Column("path", overflow="fold"), box=None)
    for name in pins().tools:
        found = find(name)
        table.add_row(name, found.version, found.source or "to be fetched", str(found.path or ""))
    Console().print(table)
