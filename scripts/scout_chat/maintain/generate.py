"""Files that commands write: which there are, which are stale."""

from pathlib import Path

from scout_chat.chart import archives, upstream
from scout_chat.core.paths import ROOT
from scout_chat.planning import catalog
from scout_chat.presets import writer
from scout_chat.values import docs, schema
from scout_chat.vllm import release


def stale() -> list[str]:
    """Paths, from the repository's root, of generated files that are not as they would be written now."""
    return [str(path.relative_to(ROOT)) for path, text in _files().items() if not path.exists() or path.read_text() != text]


def update() -> None:
    """Writes every generated file. What is made from another comes after it."""
    for source in (_upstream, release.generated_files, catalog.generated_files, writer.generated_files, schema.generated_files, docs.generated_files):
        for path, text in source().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        forget()


def forget() -> None:
    """What was read of these files before is not what is there now."""
    for read in (upstream.recorded, upstream.values_of, schema.build):
        read.cache_clear()


def _upstream() -> dict[Path, str]:
    return upstream.generated_files() if archives.at_hand() else {}


def _files() -> dict[Path, str]:
    return _upstream() | release.generated_files() | catalog.generated_files() | writer.generated_files() | schema.generated_files() | docs.generated_files()
