"""The two sides of a comparison: the working tree, a git revision of this repository, or a packaged chart."""

import difflib
import os
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
from scout_chat.core.tools import tool


@dataclass(frozen=True)
class Side:
    """A version of the chart with the scenarios that it renders."""

    label: str
    chart: Path
    scenarios: dict[str, Case]
    presets: Path = PRESETS
    cached: bool = True


def working_tree() -> Side:
    """This checkout as it stands. Raises ChartsMissing without the archives."""
    archives.vendor()
    return Side("working tree", CHART, scenarios())


def side(source: str, folder: Path) -> Side:
    """A packaged chart or a git revision of this repository, laid out in the empty ``folder``.

    A revision brings its own values files and scenarios; a package has neither and takes the working tree's. Raises UserError
    for what is no such thing, and for a revision whose archives are not to be had.
    """
    if source.endswith((".tgz", ".tar.gz")) or Path(source).is_file():
        return Side(source, _unpacked(Path(source), folder), scenarios())
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{source}^{{commit}}").decode().strip()
    if not commit:
        raise UserError(f"there is no revision {source} in this repository", "Name a branch, a tag or a commit (git fetch brings others'), or a chart's .tgz.")
    wanted = ("charts/scout-chat", "values", "tests/scenarios.yaml", "schema/pins.yaml")
    there = _git("ls-tree", "--name-only", commit, *wanted).decode().splitlines()
    if "charts/scout-chat" not in there:
        raise UserError(f"{source} has no charts/scout-chat")
    (folder / "export.tar").write_bytes(_git("archive", "--format=tar", commit, *there))
    with tarfile.open(folder / "export.tar") as tar:
        tar.extractall(folder, filter="data")
    chart = folder / "charts/scout-chat"
    (chart / "charts").mkdir(exist_ok=True)
    for archive in _archives(source, folder / "schema/pins.yaml"):
        shutil.copy(archive, chart / "charts")
    return Side(source if commit.startswith(source) else f"{source} ({commit[:9]})", chart, _scenarios(source, folder), folder / "values")


def with_values(version: Side, files: list[Path], folder: Path) -> Side:
    """The side with the user's own values files as its one scenario; a file under values/ is the side's own.

    Nothing of it is kept in the cache: the files may hold secrets. Raises UserError for a file that is not there.
    """
    names = []
    for index, file in enumerate(files):
        if not file.is_file():
            raise UserError(f"there is no values file {file}")
        if (path := file.resolve()).is_relative_to(PRESETS):
            path = version.presets / path.relative_to(PRESETS)
            if not path.is_file():
                raise UserError(f"{version.label} has no {file}")
        # A case names values files without their .yaml; an absolute path is taken as it is.
        shutil.copy(path, folder / f"{index}.yaml")
        names.append(str(folder / str(index)))
    name = " + ".join(file.name for file in files)
    return replace(version, scenarios={name: Case(name, tuple(names))}, cached=False)


def _git(*arguments: str) -> bytes:
    """Git's output; empty if it fails."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True).stdout


def _unpacked(package: Path, folder: Path) -> Path:
    if not package.is_file():
        raise UserError(f"there is no file {package}")
    try:
        with tarfile.open(package) as tar:
            tar.extractall(folder, filter="data")
        meta = kubeyaml.load((folder / "scout-chat/Chart.yaml").read_text())
    except (tarfile.TarError, OSError, EOFError, ValueError, yaml.YAMLError):
        raise UserError(f"{package} is no package of the chart scout-chat", "helm package charts/scout-chat makes one.") from None
    chart = folder / "scout-chat"
    packed = [path.name for path in chart.glob("charts/*")]
    if missing := [entry["name"] for entry in meta.get("dependencies", []) if not any(name.startswith(entry["name"]) for name in packed)]:
        raise UserError(f"{package} was packaged without {', '.join(missing)}", "scout-chat charts, then helm package charts/scout-chat")
    return chart


def _archives(source: str, file: Path) -> list[Path]:
    """The chart archives that the pins in ``file`` name, verified."""
    pinned = pins().charts
    if file.exists():
        pinned = {name: ChartPin.model_validate(pin) for name, pin in kubeyaml.load(file.read_text())["charts"].items()}
    if pinned == pins().charts:
        return [archive.path for archive in archives.resolve()]
    return [_other_archive(source, name, pin) for name, pin in pinned.items()]


def _other_archive(source: str, name: str, pin: ChartPin) -> Path:
    """An archive that this checkout does not pin: from the places where charts.resolve() looks, by the other digest."""
    file = f"{name}-{pin.version}.tgz"
    places = [cache("charts", file), CHART / "charts" / file, Path(os.environ.get("SCOUT_CHAT_CHARTS") or cache("charts", file).parent) / file]
    if not any(path.is_file() for path in places):
        command = [tool("helm"), "pull", name, "--repo", pin.repository, "--version", pin.version, "--destination", str(places[0].parent)]
        subprocess.run(command, capture_output=True, timeout=300)
    for path in places:
        if path.is_file() and sha256(path) == pin.sha256:
            return path
    raise UserError(
        f"{source} pins {file} (sha256 {pin.sha256}), which is not here and not in {pin.repository}",
        f"Put it into {places[0].parent}, or into the folder that SCOUT_CHAT_CHARTS names.",
    )


def _scenarios(source: str, folder: Path) -> dict[str, Case]:
    """The revision's own scenarios over its own values files; of a revision without a registry, today's, with today's file where it has none."""
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
    """A hint for a misspelt name: ``Did you mean a or b? ``, or nothing."""
    near = difflib.get_close_matches(name, list(known), 3, 0.5)
    return f"Did you mean {' or '.join(near)}? " if near else ""
