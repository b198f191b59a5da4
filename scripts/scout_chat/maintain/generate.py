"""Write every generated file of the repository, or list those that are stale."""

import os
from collections.abc import Callable
from pathlib import Path

from scout_chat.chart import archives, upstream
from scout_chat.core.paths import ROOT
from scout_chat.maintain import cli_reference, image_reference
from scout_chat.planning import catalog, picture
from scout_chat.presets import writer
from scout_chat.presets.chooser import page as chooser
from scout_chat.values import defects, docs, schema
from scout_chat.vllm import release

Files = dict[Path, str]


def _upstream_files() -> Files:
    """Return the records of the upstream charts; none without their archives."""
    return upstream.generated_files() if archives.at_hand() else {}


# In order: a file may be made from those before it.
SOURCES: tuple[Callable[[], Files], ...] = (
    _upstream_files,
    release.generated_files,
    catalog.generated_files,
    picture.generated_files,
    writer.generated_files,
    chooser.generated_files,
    schema.generated_files,
    docs.generated_files,
    defects.generated_files,
    cli_reference.generated_files,
    image_reference.generated_files,
)


def stale() -> list[str]:
    """Return the generated files whose content is not current, as paths from the repository's root."""
    files = {path: text for source in SOURCES for path, text in source().items()}
    return [os.path.relpath(path, ROOT) for path, text in files.items() if not path.exists() or path.read_text() != text]


def write() -> list[str]:
    """Write every generated file and return those that changed, as paths from the repository's root."""
    changed = []
    for source in SOURCES:
        for path, text in source().items():
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                changed.append(os.path.relpath(path, ROOT))
        forget()
    return changed


def forget() -> None:
    """Clear the caches of what was read from generated files."""
    for read in (upstream.recorded, upstream.values_of, schema.build):
        read.cache_clear()
