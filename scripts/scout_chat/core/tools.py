"""Find, download or build the command-line tools at their pinned versions.

A tool comes from PATH if its version fits, else from its official release, else from its Go module.
"""

import os
import platform
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from scout_chat.core.download import download
from scout_chat.core.errors import UserError
from scout_chat.core.paths import PACKAGE, cache, sha256
from scout_chat.core.pins import ToolPin, pins
from scout_chat.core.progress import Reporter, silent

# Seconds to wait for a release server before the tool is built instead.
CONNECT_SECONDS = 5
DISK_GIB = 12  # Go's module cache (4.5 GiB) and build cache (7.2 GiB) after every tool was built


@dataclass(frozen=True)
class Tool:
    """A tool. ``source`` is ``PATH`` or ``cache``; it is empty, and ``path`` None, if the tool must still be fetched."""

    name: str
    version: str
    path: Path | None
    source: str


def arch() -> str:
    """Return this machine's architecture as Go names it, such as ``amd64``."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def find(name: str) -> Tool:
    """Return where the tool is. Fetches nothing."""
    pin = _pin(name)
    cached = _cached(name, pin)
    if cached.exists():
        return Tool(name, pin.version, cached, "cache")
    if pin.accept and (path := shutil.which(name)) and _version_fits(path, pin):
        return Tool(name, pin.version, Path(path), "PATH")
    return Tool(name, pin.version, None, "")


def tool(name: str, progress: Reporter = silent) -> str:
    """Return the path of the pinned tool, fetched if necessary.

    Several processes may call this at once. Raises UserError if no source has the tool.
    """
    if found := find(name).path:
        return str(found)
    pin = _pin(name)
    target = _cached(name, pin)
    with FileLock(cache("bin", f".{name}.lock")):
        if not target.exists():
            part = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                if not _download_release(name, pin, part, progress):
                    _build(name, pin, part, progress)
                part.chmod(0o755)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
    return str(target)


def _pin(name: str) -> ToolPin:
    return pins().tools[name]


def _cached(name: str, pin: ToolPin) -> Path:
    return cache("bin", f"{name}-{pin.version}")


def _version_fits(path: str, pin: ToolPin) -> bool:
    result = subprocess.run([path, *pin.accept], capture_output=True, text=True)
    return re.search(rf"\bv?{re.escape(pin.version)}\b", result.stdout) is not None


def _download_release(name: str, pin: ToolPin, target: Path, progress: Reporter) -> bool:
    """Download the official release and check it against its published sha256. Return False if it cannot be reached.

    ``SCOUT_CHAT_TOOLS=build`` skips this: every tool is then built from its Go module, whose sums are in this repository.
    """
    if not pin.release or os.environ.get("SCOUT_CHAT_TOOLS") == "build":
        return False
    import httpx

    values = {"name": name, "version": pin.version, "arch": arch()}
    release = pin.release.format(**values)
    checksum = pin.checksum.format(release=release, **values)
    progress(f"looking for the release of {name} {pin.version}")
    archive = cache("bin", f".{name}-{pin.version}.download")
    try:
        with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(60, connect=CONNECT_SECONDS)) as client:
            expected = _published(client.get(checksum).raise_for_status().text, release.rsplit("/", 1)[1])
            download(client, release, archive, name, progress)
    except httpx.HTTPError:
        return False
    digest = sha256(archive)
    if digest == expected:
        _extract(archive, pin.member.format(**values), target)
    archive.unlink()
    if digest != expected:
        raise UserError(
            f"{release}: sha256 is {digest}, but {checksum} says {expected}",
            "Run the command again. If the digests still differ, do not use the file.",
        )
    return True


def _published(checksums: str, file: str) -> str:
    """Return the digest of ``file`` from a published checksum file: either ``<hex>`` alone, or lines of ``<hex>  <file>``."""
    for line in checksums.splitlines():
        digest, _, named = line.strip().partition(" ")
        if not named or named.strip().lstrip("*") == file:
            return digest
    raise UserError(f"the published checksums do not name {file}")


def _extract(archive: Path, member: str, target: Path) -> None:
    if not member:
        shutil.copyfile(archive, target)
        return
    with tarfile.open(archive) as tar, target.open("wb") as file:
        source = tar.extractfile(member)
        if source is None:
            raise UserError(f"{archive.name} has no file {member}")
        shutil.copyfileobj(source, file)


def _build(name: str, pin: ToolPin, target: Path, progress: Reporter) -> None:
    go = shutil.which("go")
    if not go:
        raise UserError(
            f"{name} {pin.version} is not on PATH, its release cannot be downloaded, and Go is not installed to build it",
            f"Install {name} {pin.version}, or Go, and run the command again.",
        )
    if shutil.disk_usage(target.parent).free < DISK_GIB << 30:
        raise UserError(
            f"building {name} needs up to {DISK_GIB} GiB for Go's caches, and {target.parent} has less free space",
            "Free some space, or point SCOUT_CHAT_CACHE and GOMODCACHE elsewhere.",
        )
    progress(f"building {name} {pin.version} from its Go module (minutes, once)")
    command = [go, "build", "-trimpath", "-ldflags", f"-s -w {pin.ldflags.format(version=pin.version)}"]
    command += ["-tags", ",".join(pin.tags), "-o", str(target), pin.package]
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    result = subprocess.run(command, cwd=PACKAGE / "core" / "gomod" / pin.module, env=env, capture_output=True, text=True)
    if result.returncode:
        raise UserError(f"building {name} {pin.version} failed:\n{result.stderr.strip()[-1500:]}", "Is the Go module proxy reachable (GOPROXY)?")
