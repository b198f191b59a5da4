"""Paths of this checkout, and of the cache that all checkouts of a machine share."""

import hashlib
import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parents[1]
CHART = ROOT / "charts" / "scout-chat"
PRESETS = ROOT / "values"
SNAPSHOTS = ROOT / "tests" / "snapshots"
SCENARIOS = ROOT / "tests" / "scenarios.yaml"


def cache(*parts: str) -> Path:
    """Return a path in the user cache, and create its parent folders.

    The cache is ``~/.cache/scout-chat`` or the folder in ``SCOUT_CHAT_CACHE``.
    """
    base = Path(os.environ.get("SCOUT_CHAT_CACHE") or Path.home() / ".cache" / "scout-chat")
    path = base.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def sha256(path: Path) -> str:
    """Return the file's SHA-256 digest in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
