"""What an upstream chart's values are: read from its archive, kept under schema/upstream, so that a bump shows which keys came and went.

Neither chart ships a schema. Its interface is the keys that its values.yaml gives a default and the keys that its templates read.
"""

import re
import tarfile
from functools import cache
from pathlib import Path

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins

FOLDER = ROOT / "schema" / "upstream"
# How templates read the fields of a list's items, which have no default: whichever group of the pattern matches is the key.
ITEMS = {
    "vllm-stack": {
        "modelSpec": r'modelSpec\.(\w+)|hasKey \$modelSpec "(\w+)"',
        "vllmConfig": r'vllmConfig\.(\w+)|hasKey (?:\.|\$modelSpec\.vllmConfig) "(\w+)"|(?:if|range|with) \.(enable\w+|extraArgs)\b',
    }
}
# Lists whose default is a sample that nobody means to install.
SAMPLES = {"modelSpec", "loraAdapters"}


@cache
def recorded(chart: str) -> dict:
    """The chart's interface as it was recorded from the pinned archive.

    ``appVersion``: as its Chart.yaml has it, or empty. ``values``: its defaults, nested; samples left out. ``reads``: paths that a
    template reads and that have no default. ``unread``: paths with a default that no template reads. ``items``: for a list of objects,
    the keys that templates read.
    """
    return kubeyaml.load((FOLDER / f"{chart}.yaml").read_text())


@cache
def values_of(chart: str) -> dict:
    """The chart's values (to read, not to change) as this chart's defaults leave them."""
    ours = kubeyaml.load((CHART / "values.yaml").read_text())[chart]
    return merge(recorded(chart)["values"], ours)


def merge(under: dict, over: dict) -> dict:
    """As Helm lays values over values: maps key by key, the rest whole."""
    return under | {key: merge(under[key], value) if isinstance(value, dict) and isinstance(under.get(key), dict) else value for key, value in over.items()}


def text(chart: str) -> str:
    """What the file under schema/upstream must hold. Needs the archive; raises ChartsMissing without it."""
    header = f"# Generated from {chart} {pins().charts[chart].version} by `scout-chat schema --update`: its values, and what its templates read.\n"
    return header + kubeyaml.dump(extract(chart))


def extract(chart: str) -> dict:
    """The interface, from the archive. Shape as recorded()."""
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


def _leaves(values: dict, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [leaf for key, value in values.items() for leaf in (_leaves(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)])]


def _without_samples(values: object) -> object:
    if not isinstance(values, dict):
        return values
    return {key: [] if key in SAMPLES else _without_samples(value) for key, value in values.items()}


def _under(path: str, paths: set[str]) -> bool:
    """Whether the path, or one that holds it, is among the paths."""
    parts = path.split(".")
    return any(".".join(parts[:length]) in paths for length in range(1, len(parts) + 1))


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    return tar.extractfile(member).read().decode()


def generated_files() -> dict[Path, str]:
    """Every file under schema/upstream as it must be."""
    return {FOLDER / f"{chart}.yaml": text(chart) for chart in pins().charts}
