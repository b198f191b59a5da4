"""The store: a folder of the host that every container of the one-node cluster sees, read-only, at /opt/scout-chat."""

import hashlib
import shutil
from pathlib import Path

from scout_chat.core.errors import UserError
from scout_chat.core.paths import PACKAGE, cache

RECIPES = PACKAGE / "images" / "recipes"
MOUNT = "/opt/scout-chat"


def store() -> Path:
    """Return the store's folder on the host: ``runtimes`` and ``hub`` are in it."""
    return cache("store", "x").parent


def inside(path: Path) -> str:
    """Return where a container sees a path of the store."""
    return f"{MOUNT}/{path.relative_to(store())}"


def need_disk(folder: Path, gib: int, what: str) -> None:
    """Raise UserError if less than ``gib`` GiB are free under ``folder``."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < gib:
        raise UserError(f"{what} need {gib} GiB under {folder}; {free:.1f} GiB are free", "Free some space, or point SCOUT_CHAT_CACHE at a larger disk.")


def digest(*parts: str | bytes) -> str:
    """Return twelve hexadecimal digits that change with any part."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
        whole.update(b"\0")
    return whole.hexdigest()[:12]
