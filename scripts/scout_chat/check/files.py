"""Read a user's own values files as Helm does, and name the mistakes that Helm would not see or not explain."""

from collections.abc import Iterator, Sequence
from functools import cache, reduce
from pathlib import Path

import yaml

from scout_chat.chart import upstream
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PRESETS, ROOT
from scout_chat.core.pins import pins

VALUES = "A values file is a map, as values/gpt-oss.yaml is. docs/reference/values.md lists the keys."


def read(file: Path) -> KubeObject:
    """Return the values in a file; an empty file has none. Raises UserError for a file that is not one map of values."""
    if not file.is_file():
        hint = next((f"Did you mean {path}?" for path in _meant(file)), "Check the path. It is relative to the current folder.")
        raise UserError(f"{file} is a folder, not a values file" if file.is_dir() else f"there is no values file {file}", hint)
    try:
        values = kubeyaml.load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except kubeyaml.DuplicateKey as error:
        raise UserError(f"{file}: {error}", "Helm takes the last one and says nothing. Keep one.") from None
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(file, error) from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise UserError(f"{file} is not a text file in UTF-8", VALUES) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{file} is a {'list' if isinstance(values, list) else 'single value'}, not a map of values", VALUES)
    if "apiVersion" in values and "kind" in values:
        raise UserError(f"{file} is a Kubernetes object ({values['kind']}), not a values file", "Apply it with kubectl apply -f, and pass values files here.")
    return dict(values)


def _meant(file: Path) -> Iterator[Path]:
    """Yield the files that may be meant by a path: with the suffix .yaml, or the preset of that name."""
    name = file.with_suffix(".yaml") if file.suffix in (".yaml", ".yml") else file.with_name(f"{file.name}.yaml")
    if name.is_file():
        yield name
    if (PRESETS / name.name).is_file():
        yield (PRESETS / name.name).relative_to(ROOT)


@cache
def defaults() -> KubeObject:
    """Return every default: this chart's, and those of the upstream charts as this chart leaves them. The result is shared: do not change it."""
    ours: KubeObject = kubeyaml.load((CHART / "values.yaml").read_text())
    return ours | {name: upstream.values_of(name) for name in pins().charts}


def merged(files: Sequence[KubeObject]) -> KubeObject:
    """Return the values over the defaults, later ones over earlier ones, as Helm merges them."""
    return reduce(upstream.merge, files, defaults())


def value_at(values: KubeObject, *keys: str) -> object:
    """Return the value at a path; None if there is none. The chart may refuse the values, so nothing is certain about their types."""
    value: object = values
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _not_yaml(file: Path, error: yaml.MarkedYAMLError) -> UserError:
    where = f"{file}, line {error.problem_mark.line + 1}" if error.problem_mark else str(file)
    if "another document" in (error.problem or ""):
        return UserError(f"{where}: a second YAML document begins", "Helm 4 merges the documents, Helm 3 reads only the first. Make it one document.")
    return UserError(f"{where}: {error.problem}", "The file is not valid YAML there or a little above: look at indentation, quotes and brackets.")
