"""Values files of a user's own. The fixture ``mine`` in tests/static/conftest.py writes them."""

from collections.abc import Callable
from pathlib import Path

from scout_chat.core import kubeyaml
from scout_chat.core.paths import PRESETS

# Writes values into a file and returns its path.
Write = Callable[..., Path]


def preset_with(mine: Write, shipped_file: str = "gpt-oss", **entry: object) -> Path:
    """Return a copy of a shipped file in which the first engine has other keys."""
    values = kubeyaml.load((PRESETS / f"{shipped_file}.yaml").read_text())
    values["vllm-stack"]["servingEngineSpec"]["modelSpec"][0] |= entry
    return mine("copy.yaml", **values)
