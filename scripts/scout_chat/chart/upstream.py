"""The values of an upstream chart: read from its archive and recorded under schema/upstream.

Neither chart has a schema. Its interface is every key that its values.yaml gives a default, and every key that its templates read.
The record is reviewed, so that a new version of the chart shows which keys were added and removed.
"""

import re
import tarfile
from functools import cache
from pathlib import Path

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins

FOLDER = ROOT / "schema" / "upstream"
# How the templates read the fields of list items, which have no defaults. The group that matches is the key.
ITEMS = {
    "vllm-stack": {
        "modelSpec": r'modelSpec\.(\w+)|hasKey \$modelSpec "(\w+)"',
        "vllmConfig": r'vllmConfig\.(\w+)|hasKey (?:\.|\$modelSpec\.vllmConfig) "(\w+)"|(?:if|range|with) \.(enable\w+|extraArgs)\b',
    }
}
# Lists whose default is a sample that nobody installs.
SAMPLES = {"modelSpec", "loraAdapters"}


@cache
def recorded(chart: str) -> KubeObject:
    """Return the chart's interface as recorded from the pinned archive.

    ``appVersion``: from its Chart.yaml, or empty. ``values``: its nested defaults, without samples. ``reads``: paths that a template
    reads and that have no default. ``unread``: paths with a default that no template reads. ``items``: for each list of objects, the
    keys that templates read.
    """
    record: KubeObject = kubeyaml.load((FOLDER / f"{chart}.yaml").read_text())
    return record


@cache
def values_of(chart: str) -> KubeObject:
    """Return the upstream chart's values with this chart's defaults laid over them. The result is shared: do not change it."""
    ours = kubeyaml.load((CHART / "values.yaml").read_text())[chart]
    return merge(recorded(chart)["values"], ours)


def merge(under: KubeObject, over: KubeObject) -> KubeObject:
    """Merge values as Helm does: maps key by key; anything else replaces what was there."""
    return under | {key: merge(under[key], value) if isinstance(value, dict) and isinstance(under.get(key), dict) else value for key, value in over.items()}


def text(chart: str) -> str:
    """Return the content of the file under schema/upstream. Raises ChartsMissing without the archive."""
    header = f"# Generated from {chart} {pins().charts[chart].version} by `scout-chat generate`: its values, and what its templates read.\n"
    return header + kubeyaml.dump(extract(chart))


def extract(chart: str) -> KubeObject:
    """Read the interface from the archive. The result has the shape of ``recorded``."""
    (archive,) = [entry.path for entry in archives.resolve(download=False) if entry.name == chart]
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar if member.isfile()}
        values = kubeyaml.load(_text(tar, members[f"{chart}/values.yaml"]))
        metadata = kubeyaml.load(_text(tar, members[f"{chart}/Chart.yaml"]))
        templates = "\n".join(_text(tar, member) for name, member in members.items() if re.match(rf"{chart}/templates/.*\.(yaml|tpl|txt)$", name))
    templates = re.sub(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", "", templates, flags=re.DOTALL)
    read = {path.rstrip(".") for path in re.findall(r"\.Values\.([\w.]+)", templates)}
    leaves = {".".join(path) for path in _leaves(values)}
    passed_on = {dependency["name"] for dependency in metadata["dependencies"]}
    return {
        "appVersion": metadata.get("appVersion", ""),
        "values": _without_samples(values),
        "reads": sorted(path for path in read if not _under(path, leaves) and not any(leaf.startswith(f"{path}.") for leaf in leaves)),
        "unread": sorted(leaf for leaf in leaves if leaf.split(".")[0] not in passed_on and not _under(leaf, read)),
        "items": {name: sorted({"".join(key) for key in re.findall(pattern, templates)}) for name, pattern in ITEMS.get(chart, {}).items()},
    }


def _leaves(values: KubeObject, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [leaf for key, value in values.items() for leaf in (_leaves(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)])]


def _without_samples(values: object) -> object:
    if not isinstance(values, dict):
        return values
    return {key: [] if key in SAMPLES else _without_samples(value) for key, value in values.items()}


def _under(path: str, paths: set[str]) -> bool:
    """Return whether the path, or one of its parents, is among the paths."""
    parts = path.split(".")
    return any(".".join(parts[:length]) in paths for length in range(1, len(parts) + 1))


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    return file.read().decode() if file else ""


def generated_files() -> dict[Path, str]:
    """Return every file under schema/upstream."""
    return {FOLDER / f"{chart}.yaml": text(chart) for chart in pins().charts}
