"""The base image's root file system (Debian), and scripts that run inside it."""

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from scout_chat.core.command import install_packages, run
from scout_chat.core.errors import UserError
from scout_chat.core.paths import cache
from scout_chat.core.progress import Reporter, silent
from scout_chat.images.store import MOUNT, digest, need_disk, store

DEBIAN = "bookworm"
# Python 3.11.2, and the shared libraries that torch, vLLM and the router link to.
PACKAGES = ["python3.11", "python3", "ca-certificates", "libgomp1", "libnuma1", "libstdc++6", "libssl3"]


def base_rootfs(progress: Reporter = silent) -> Path:
    """Return the folder with the base image's root file system; debootstrap makes it once."""
    target = cache("rootfs", f"{DEBIAN}-{digest(*PACKAGES)}")
    with FileLock(target.parent / ".lock"):
        if target.exists():
            return target
        need_disk(target.parent, 2, "the base image's files")
        install_packages({"debootstrap": "debootstrap"})
        progress(f"debootstrap {DEBIAN} (once)")
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        # The mount namespace is debootstrap's own, so an interruption leaves no /proc mounted in the folder.
        run("unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", DEBIAN, str(part))
        for litter in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log"):
            shutil.rmtree(part / litter, ignore_errors=True)
            (part / litter).mkdir()
        (part / MOUNT[1:]).mkdir(parents=True)
        part.rename(target)
    return target


def in_base(script: str, progress: Reporter = silent, write: bool = False, env: dict[str, str] | None = None) -> str:
    """Run a shell script in the base image with the store mounted, as in a container, and return its standard output.

    ``write`` mounts the store writable. The mounts are in the script's own namespace, so an interruption leaves none.
    Raises UserError with the script's last lines if it fails.
    """
    root = base_rootfs(progress)
    mounts = f'mount --bind "{store()}" "{root}{MOUNT}" && mount -t proc proc "{root}/proc" && mount -t tmpfs tmpfs "{root}/tmp"'
    if not write:
        mounts += f' && mount -o remount,ro,bind "{root}{MOUNT}"'
    command = ["unshare", "--mount", "--fork", "--kill-child", "--pid", "sh", "-c", f'{mounts} && exec chroot "{root}" /bin/sh -c "$0"', script]
    result = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"} | (env or {}))
    if result.returncode:
        raise UserError(f"a step in the base image failed: {(result.stderr or result.stdout).strip()[-1500:]}")
    return result.stdout
