"""Lay out the sides of a comparison: the working tree, a git revision of this repository, or a packaged chart."""

import difflib
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import ValidationError

from scout_chat.chart import archives
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import read, scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, PRESETS, ROOT, cache, sha256
from scout_chat.core.pins import ChartPin, pins


@dataclass(frozen=True)
class Side:
    """A version of the chart with the scenarios that it renders.

    ``presets`` is the folder of its values files. With ``cached`` false its renders are not kept in the cache.
    """

    label: str
    chart: Path
    scenarios: dict[str, Case]
    presets: Path = PRESETS
    cached: bool = True


def working_tree() -> Side:
    """Return this checkout, uncommitted changes included. Raises ChartsMissing without the archives."""
    archives.vendor()
    return Side("working tree", CHART, scenarios())


def side(source: str, folder: Path) -> Side:
    """Lay out a packaged chart or a git revision of this repository in the empty ``folder``.

    A revision has its own values files and scenarios. A package has neither and takes the working tree's.
    Raises UserError if ``source`` is neither, and for a revision whose chart archives cannot be found.
    """
    if source.endswith((".tgz", ".tar.gz")) or Path(source).is_file():
        return Side(source, _unpacked(Path(source), folder), scenarios())
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{source}^{{commit}}").decode().strip()
    if not commit:
        raise UserError(
            f"there is no revision {source} in this repository",
            "Name a branch, a tag, a commit or a chart's .tgz. If the revision is in a remote repository: git fetch",
        )
    wanted = ("charts/scout-chat", "values", "tests/scenarios.yaml", "schema/pins.yaml")
    there = _git("ls-tree", "--name-only", commit, *wanted).decode().splitlines()
    if "charts/scout-chat" not in there:
        raise UserError(f"{source} has no charts/scout-chat", "Name a revision that has the chart.")
    (folder / "export.tar").write_bytes(_git("archive", "--format=tar", commit, *there))
    with tarfile.open(folder / "export.tar") as tar:
        tar.extractall(folder, filter="data")
    chart = folder / "charts/scout-chat"
    (chart / "charts").mkdir(exist_ok=True)
    for archive in _archives(source, folder / "schema/pins.yaml"):
        shutil.copy(archive, chart / "charts")
    return Side(source if commit.startswith(source) else f"{source} ({commit[:9]})", chart, _scenarios(source, folder), folder / "values")


def with_values(version: Side, files: list[Path], folder: Path) -> Side:
    """Return the side with one scenario, the user's own values files. A file under values/ is taken from the side.

    The files may hold secrets, so no render is kept in the cache. Raises UserError for a missing file.
    """
    names = []
    for index, file in enumerate(files):
        if not file.is_file():
            raise UserError(f"there is no values file {file}")
        if (path := file.resolve()).is_relative_to(PRESETS):
            path = version.presets / path.relative_to(PRESETS)
            if not path.is_file():
                raise UserError(f"{version.label} has no {file}", "Copy the file out of values/, or compare with a revision that has it.")
        # A case names a values file without .yaml. An absolute path stays as it is.
        shutil.copy(path, folder / f"{index}.yaml")
        names.append(str(folder / str(index)))
    name = " + ".join(file.name for file in files)
    return replace(version, scenarios={name: Case(name, tuple(names))}, cached=False)


def _git(*arguments: str) -> bytes:
    """Return git's output; empty if git fails."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True).stdout


def _unpacked(package: Path, folder: Path) -> Path:
    """Unpack a packaged chart and return its folder."""
    if not package.is_file():
        raise UserError(f"there is no file {package}", "Name a chart's .tgz, or a revision of this repository.")
    try:
        with tarfile.open(package) as tar:
            tar.extractall(folder, filter="data")
        meta = kubeyaml.load((folder / "scout-chat/Chart.yaml").read_text())
    except (tarfile.TarError, OSError, EOFError, ValueError, yaml.YAMLError):
        raise UserError(f"{package} is not a package of the chart scout-chat", "Make one: helm package charts/scout-chat") from None
    chart = folder / "scout-chat"
    packed = [path.name for path in chart.glob("charts/*")]
    if missing := [entry["name"] for entry in meta.get("dependencies", []) if not any(name.startswith(entry["name"]) for name in packed)]:
        raise UserError(f"{package} was packaged without {', '.join(missing)}", "Package it again: scout-chat charts, then helm package charts/scout-chat")
    return chart


def _archives(source: str, file: Path) -> list[Path]:
    """Return the chart archives that the pins in ``file`` name, verified."""
    pinned = pins().charts
    if file.exists():
        pinned = {name: ChartPin.model_validate(pin) for name, pin in kubeyaml.load(file.read_text())["charts"].items()}
    if pinned == pins().charts:
        return [archive.path for archive in archives.resolve()]
    return [_other_archive(source, name, pin) for name, pin in pinned.items()]


def _other_archive(source: str, name: str, pin: ChartPin) -> Path:
    """Return an archive that this checkout does not pin, verified by the digest in ``pin``.

    It comes from the places where archives.resolve() looks, else from its repository.
    """
    file = f"{name}-{pin.version}.tgz"
    for path in archives.others(name, pin.version, pin.repository)[0]:
        if sha256(path) == pin.sha256:
            return path
    raise UserError(
        f"{source} pins {file} (sha256 {pin.sha256}), which is neither on this machine nor in {pin.repository}",
        f"Put the file into {cache('charts', file).parent}, or into the folder in SCOUT_CHAT_CHARTS.",
    )


def _scenarios(source: str, folder: Path) -> dict[str, Case]:
    """Return the revision's own scenarios with its own values files.

    A revision without tests/scenarios.yaml takes this checkout's scenarios. Where it lacks a values file, it takes this
    checkout's.
    """
    registry, cases = folder / "tests/scenarios.yaml", scenarios()
    if registry.exists():
        try:
            cases = read(registry)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise UserError(f"this checkout cannot read tests/scenarios.yaml of {source}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None

    def file(value: str) -> str:
        own = folder / "values" / value
        return str(own if own.with_name(f"{own.name}.yaml").is_file() else PRESETS / value)

    return {name: replace(case, values=tuple(map(file, case.values))) for name, case in cases.items()}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelled name: ``Did you mean a or b? ``, or nothing."""
    near = difflib.get_close_matches(name, list(known), 3, 0.5)
    return f"Did you mean {' or '.join(near)}? " if near else ""
