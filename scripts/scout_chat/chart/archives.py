"""The archives of the two upstream charts: find them, verify their sha256, and put them where Helm looks for them."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, cache, sha256
from scout_chat.core.pins import ChartPin, pins
from scout_chat.core.progress import Reporter, silent


@dataclass(frozen=True)
class Archive:
    """A verified chart archive in the user cache. ``source`` says where it was found."""

    name: str
    version: str
    path: Path
    source: str


class ChartsMissing(UserError):
    """No source has the archives. Callers that can use recorded renders catch this."""


def file_name(name: str) -> str:
    """Return the archive's file name, such as ``vllm-stack-0.1.12.tgz``."""
    return f"{name}-{pins().charts[name].version}.tgz"


def resolve(progress: Reporter = silent, download: bool = True) -> list[Archive]:
    """Put every pinned archive into the user cache, verified, and return them.

    Sources, in order: the chart's own ``charts/`` folder, the cache, the folder in ``SCOUT_CHAT_CHARTS`` and, with ``download``, the
    charts' repositories. Raises ChartsMissing if no source has an archive. Raises UserError for an archive whose digest differs from
    the pinned one; the file is named, and neither used nor deleted.
    """
    with FileLock(cache("charts", ".lock")):
        found = {name: _local(name) for name in pins().charts}
        missing = [name for name, archive in found.items() if archive is None]
        if missing and download:
            progress(f"downloading {', '.join(missing)}")
            found |= {name: _download(name) for name in missing}
    if missing := [name for name, archive in found.items() if archive is None]:
        raise ChartsMissing(_missing_message(missing), _missing_hint())
    return [archive for archive in found.values() if archive]


def vendor(progress: Reporter = silent, download: bool = True) -> list[Archive]:
    """Resolve the archives and copy them into the chart's ``charts/`` folder, where plain ``helm install`` finds them.

    Raises UserError if that folder has an archive of another version: Helm would render the first that it meets.
    """
    archives = resolve(progress, download)
    folder = CHART / "charts"
    folder.mkdir(exist_ok=True)
    expected = {file_name(archive.name) for archive in archives}
    if strange := sorted(path.name for path in folder.glob("*.tgz") if path.name not in expected):
        raise UserError(
            f"{folder}: {', '.join(strange)} is not the pinned version ({', '.join(sorted(expected))})",
            "Remove it; the pinned archives are put there by `scout-chat charts`.",
        )
    for archive in archives:
        target = folder / file_name(archive.name)
        if not target.exists():
            _copy(archive.path, target)
    return archives


def at_hand() -> bool:
    """Return whether the archives are on this machine or in ``SCOUT_CHAT_CHARTS``. Downloads nothing."""
    try:
        vendor(download=False)
    except ChartsMissing:
        return False
    return True


def unpack(chart: Path, target: Path) -> None:
    """Copy the chart to ``target`` with its subcharts unpacked, and without their own subcharts, which are never enabled.

    Helm loads the copy in half the time. tests/static/test_archives.py proves that it renders the same objects.
    """
    shutil.copytree(chart, target, ignore=shutil.ignore_patterns("*.tgz"))
    for archive in (chart / "charts").glob("*.tgz"):
        with tarfile.open(archive) as tar:
            tar.extractall(target / "charts", [member for member in tar if not re.match(r"[^/]+/(charts|tests|ci)/", member.name)], filter="data")
    for metadata in target.glob("charts/*/Chart.yaml"):
        metadata.write_text(kubeyaml.dump({key: value for key, value in kubeyaml.load(metadata.read_text()).items() if key != "dependencies"}))


def _local(name: str) -> Archive | None:
    pin, file = pins().charts[name], file_name(name)
    cached = cache("charts", file)
    places = [(CHART / "charts" / file, "charts/scout-chat/charts"), (cached, "the user cache")]
    if mirror := os.environ.get("SCOUT_CHAT_CHARTS"):
        if not Path(mirror).is_dir():
            raise UserError(f"SCOUT_CHAT_CHARTS names {mirror}, which is not a folder")
        places.append((Path(mirror) / file, "SCOUT_CHAT_CHARTS"))
    for path, source in places:
        if path.is_file():
            _verify(path, pin)
            if path != cached:
                _copy(path, cached)
            return Archive(name, pin.version, cached, source)
    return None


def _verify(path: Path, pin: ChartPin) -> None:
    if (digest := sha256(path)) != pin.sha256:
        raise UserError(
            f"{path} is damaged or another build: its sha256 is {digest}, the pinned one {pin.sha256}",
            f"Remove the file and run the command again, or put the published {path.name} in its place.",
        )


def _copy(source: Path, target: Path) -> None:
    """Copy the file so that a reader in another process sees either the old file or the whole new one."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, part)
    part.replace(target)


def _download(name: str) -> Archive | None:
    """Download the archive from its repository with the pinned Helm. Return None if the repository cannot be reached."""
    pin = pins().charts[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file_name(name)
        if _pull(name, pin.version, pin.repository, Path(folder)) or not path.exists():
            return None
        _verify(path, pin)
        target = cache("charts", path.name)
        _copy(path, target)
    return Archive(name, pin.version, target, pin.repository)


def _pull(name: str, version: str, repository: str, folder: Path) -> str:
    """Download a chart's archive from its repository with the pinned Helm. Return Helm's message if that fails, else nothing."""
    from scout_chat.core.tools import tool

    command = [tool("helm"), "pull", name, "--repo", repository, "--version", version, "--destination", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return result.stderr.strip().removeprefix("Error: ") or "helm pull failed" if result.returncode else ""


def others(name: str, version: str, repository: str) -> tuple[list[Path], str]:
    """Return the archives of a version that this checkout does not pin, not verified, and Helm's message if its repository gives none.

    Looks where ``resolve`` does; what comes from the repository is then in the user cache.
    """
    file = f"{name}-{version}.tgz"
    cached = cache("charts", file)
    places = dict.fromkeys((cached, CHART / "charts" / file, Path(os.environ.get("SCOUT_CHAT_CHARTS") or cached.parent) / file))
    message = ""
    if not any(path.is_file() for path in places):
        message = _pull(name, version, repository, cached.parent)
    return [path for path in places if path.is_file()], message


def _missing_message(missing: list[str]) -> str:
    lines = ["chart archives are missing, and their repositories cannot be reached:"]
    lines += [f"  {file_name(name)}  sha256 {pins().charts[name].sha256}  from {pins().charts[name].repository}" for name in missing]
    return "\n".join(lines)


def _missing_hint() -> str:
    return (
        f"Put them into {cache('charts')}, or name the folder that holds them: export SCOUT_CHAT_CHARTS=/path/to/folder. "
        "A machine that reaches the repositories gets them by `scout-chat charts`."
    )
