"""Where things are: the checkout, and the cache that a machine's checkouts share."""

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
    """A path in the user cache; its parent folders exist afterwards.

    ``SCOUT_CHAT_CACHE`` moves the cache (default ``~/.cache/scout-chat``).
    """
    base = Path(os.environ.get("SCOUT_CHAT_CACHE") or Path.home() / ".cache" / "scout-chat")
    path = base.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def sha256(path: Path) -> str:
    """The file's digest, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
