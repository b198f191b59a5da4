"""Change single values of a YAML file that people maintain. Comments, order and layout stay as they are."""

import json
from pathlib import Path

import yaml

from scout_chat.core import kubeyaml


def set_scalars(file: Path, changes: dict[tuple[str | int, ...], str]) -> None:
    """Replace the scalars at the paths (keys, and indices of lists). A quoted scalar stays quoted, and the new
    one gets quotes where YAML would not read it as a string: empty, a number, a word such as no.

    Raises KeyError for a path that the file does not have or that is not a scalar.
    """
    text = file.read_text()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    spans = sorted(((_node(root, path), value) for path, value in changes.items()), key=lambda span: span[0].start_mark.index, reverse=True)
    for node, value in spans:
        written = json.dumps(value) if (node.style and node.value) or kubeyaml.load(value) != value else value
        text = text[: node.start_mark.index] + written + text[node.end_mark.index :]
    file.write_text(text)


def _node(root: yaml.Node | None, path: tuple[str | int, ...]) -> yaml.ScalarNode:
    node = root
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
    if not isinstance(node, yaml.ScalarNode):
        raise KeyError(".".join(map(str, path)))
    return node
