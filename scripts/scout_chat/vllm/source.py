"""The Python source of a vLLM release that has no build for CPUs yet.

It runs on the packages of the pinned CPU release: arguments, parsers and the arithmetic of the KV cache are Python. A GPU kernel is not.
"""

import shutil
import tarfile
from pathlib import Path

from filelock import FileLock

from scout_chat.core import package_index
from scout_chat.core.errors import UserError
from scout_chat.core.package_index import IndexFile
from scout_chat.core.paths import cache
from scout_chat.core.pins import pins
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.store import need_disk


def find(release: str) -> IndexFile:
    """Return the source archive of a release such as v0.33.0. Raises UserError if the package index does not have it."""
    return package_index.find("vllm", f"vllm-{release.removeprefix('v')}.tar.gz")


def folder(release: str, progress: Reporter = silent) -> Path:
    """Return the folder in the store that has the package ``vllm`` of a pinned release; the first call downloads 47 MB.

    Raises UserError if the archive cannot be had, or is not the pinned one.
    """
    expected = pins().engine.gpu.source
    target = cache("store", "sources", f"vllm-{release}-{expected[:12]}")
    with FileLock(target.parent / f".{target.name}.lock"):
        if not target.exists():
            need_disk(target.parent, 1, f"the source of vLLM {release}")
            archive = cache("store", "sources", f".vllm-{release}.tar.gz")
            try:
                _fetch(release, expected, archive, progress)
                _unpack(archive, target, progress)
            finally:
                archive.unlink(missing_ok=True)
    return target


def _fetch(release: str, expected: str, archive: Path, progress: Reporter) -> None:
    found = find(release)
    if found.sha256 != expected:
        raise UserError(
            f"the source archive of vLLM {release} has the sha256 {found.sha256}, but schema/pins.yaml has {expected}", "Do not use it. Is the index a mirror?"
        )
    package_index.fetch(found, archive, progress)


def _unpack(archive: Path, target: Path, progress: Reporter) -> None:
    """Unpack the package ``vllm`` alone: the archive's tests and kernels are four fifths of it."""
    progress("unpacking")
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(archive) as tar:
        members = []
        for member in tar:
            member.name = member.name.partition("/")[2]
            members += [member] if member.name.startswith("vllm/") else []
        tar.extractall(part, members, filter="data")
    part.rename(target)
