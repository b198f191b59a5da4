"""`scout-chat charts`, `snapshot` and `values-coverage`: the upstream charts, and what the chart renders."""

from scout_chat.cli import options
from scout_chat.core.errors import UserError


def charts() -> None:
    """Get the two upstream chart archives and verify their checksums.

    Puts them where Helm looks for them, charts/scout-chat/charts. Takes them
    from the cache, from the folder SCOUT_CHAT_CHARTS, or from the internet.

    Examples:

      scout-chat charts
      SCOUT_CHAT_CHARTS=/mnt/mirror scout-chat charts
    """
    from scout_chat.chart import archives
    from scout_chat.core.progress import Phases

    with Phases().phase("charts") as progress:
        for archive in archives.vendor(progress):
            print(f"{archive.name} {archive.version} from {archive.source}")


def snapshot(check: options.Check = False) -> None:
    """Write the snapshots: every object that each scenario renders.

    Read the difference with git diff tests/snapshots before you commit it.
    Needs the upstream chart archives, and writes nothing in CI.

    Examples:

      scout-chat snapshot
      scout-chat snapshot --check
    """
    from scout_chat.chart import snapshots

    lines = snapshots.all_differences() if check else snapshots.update()
    print("\n".join(lines) or "every snapshot is up to date")
    if check and lines:
        raise UserError(f"{len(lines)} snapshots differ from what the chart renders", "Run make snapshots, then read what it changed: git diff tests/snapshots")


def values_coverage() -> None:
    """Find values that change no rendered object.

    Changes every value that the schema accepts, once, and renders the chart
    with it. Exits with status 1 if a value has no effect. Exceptions, with
    their reasons, are in tests/values-coverage.yaml.

    Example:

      scout-chat values-coverage
    """
    from scout_chat.chart import archives
    from scout_chat.values import coverage

    archives.vendor()
    results, waivers = coverage.run(), coverage.plan().waivers
    without_effect = [result for result in results if not result.has_effect]
    for result in without_effect:
        print(f"no effect: {result.change.path}  {' '.join(result.refusals)}")
    for path, reason in waivers.items():
        print(f"waived: {path}  {reason}")
    print(f"{len(results) + len(waivers)} values: {len(results) - len(without_effect)} have an effect, {len(without_effect)} have none, {len(waivers)} waived")
    if without_effect:
        raise UserError(
            f"{len(without_effect)} values change no rendered object",
            "Remove each key from schema/values, or add an override or a waiver to tests/values-coverage.yaml.",
        )
