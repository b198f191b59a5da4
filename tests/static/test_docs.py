"""Proves: the documents agree with the schema and the defaults, and every example of values in them is accepted.

It does not prove that a description is true.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema_rs
import pytest
from scout_chat.chart import upstream
from scout_chat.chart.render import refusal, render
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins
from scout_chat.core.tools import tool
from scout_chat.values import docs, schema
from scout_chat.values.keys import Key, sections

from tests.support.documents import DOCUMENTS
from tests.support.renders import chart


def all_keys() -> list[Key]:
    return [key for section in sections() for key in section.keys]


def validator(node: KubeObject) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator({**node, "definitions": schema.build()["definitions"]})


def nodes(node: KubeObject, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], KubeObject]]:
    """Yield the path and the schema of every key, also of the definitions, but not of Kubernetes' types."""
    for key, child in node.get("properties", {}).items():
        yield (*path, key), child
        yield from nodes(child, (*path, key))
    for name, child in node.get("definitions", {}).items():
        if not name[0].isupper():
            yield (name,), child
            yield from nodes(child, (name,))


def test_the_committed_files_are_as_generated() -> None:
    """If this fails after an intended change: run scout-chat generate, read git diff, and commit it."""
    stale = [path.name for path, text in docs.generated_files().items() if not path.exists() or path.read_text() != text]
    assert stale == []


def test_a_hand_edited_table_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Planted: someone changes a default in the README's table. The text around the table is written by hand and stays."""
    copy = tmp_path / "README.md"
    monkeypatch.setattr(docs, "README", copy)
    ours = (CHART / "README.md").read_text()
    copy.write_text(ours.replace('`"x-session-id"`', '`"x-session"`'))
    assert docs.readme() == ours != copy.read_text()
    copy.write_text("My words.\n" + ours)
    assert docs.readme() == copy.read_text()


def test_every_own_key_has_a_description() -> None:
    own = [key for key in all_keys() if key.path.split(".")[0] in {"global", *schema.build()["properties"]} - pins().charts.keys()]
    assert len(own) > 50
    assert [key.path for key in own if not key.description] == []


def test_every_closed_key_has_a_reason() -> None:
    assert [key.path for key in all_keys() if key.closed and not key.description] == []


def test_every_example_of_the_schema_is_accepted_by_its_key() -> None:
    refused, seen = [], 0
    for path, node in nodes(schema.build()):
        for example in node.get("examples", []):
            seen += 1
            refused += [f"{'.'.join(path)}: {example}"] if not validator(node).is_valid(example) else []
    assert seen > 10 and refused == []


def test_the_defaults_are_accepted() -> None:
    """As Helm checks them: this chart's values merged over those of the upstream charts. The templates check for the model and the sign-in."""
    assert [f"{error.instance_path}: {error.message}" for error in validator(schema.build()).iter_errors(defaults())] == []


def documented(path: Path) -> dict[str, str]:
    """Return the default of each key in the file's tables."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in path.read_text().splitlines() if re.match(r"\| `[^`]+` \|.*\|$", line)]
    return {cells[0].strip().strip("`"): cells[2].strip() for cells in rows if len(cells) == 4}


@cache
def defaults() -> KubeObject:
    """Return every default: this chart's, and those of the upstream charts as this chart leaves them."""
    ours: KubeObject = kubeyaml.load((CHART / "values.yaml").read_text())
    return ours | {name: upstream.values_of(name) for name in pins().charts}


def default_of(path: str) -> object:
    """Return the default at the path, or None."""
    value: object = defaults()
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


@pytest.mark.parametrize("path", [docs.TARGET, docs.README], ids=lambda path: path.parent.name)
def test_every_documented_default_is_the_real_one(path: Path) -> None:
    """Reads the Markdown file, not the code that writes it."""
    wrong, shown = [], 0
    for key, default in documented(path).items():
        if default.startswith("`"):
            shown += 1
            value = json.loads(default.strip("`").replace(r"\|", "|"))
            wrong += [f"{key}: {value}"] if value != default_of(key) else []
        elif default.startswith("in ") or default.startswith("the upstream"):
            wrong += [f"{key}: {default}"] if default_of(key) in (None, "", [], {}) else []
    assert shown > 60 and wrong == []


def schema_paths() -> set[str]:
    """Return the path of every key that the values may have, as the documents write it. Keys inside Kubernetes' types are left out."""
    definitions = schema.build()["definitions"]

    def walk(node: KubeObject, path: str) -> Iterator[str]:
        node, name = schema.resolved(node, definitions)
        if name[:1].isupper() or name == "modelSpec":
            return
        for key, child in node.get("properties", {}).items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from walk(child, below)

    copies = {f"{name}.global" for name in pins().charts}
    return set(walk(schema.build(), "")) - copies | set(walk({"properties": definitions["modelSpec"]["properties"]}, ""))


def test_the_documented_keys_are_those_of_the_schema() -> None:
    """Keys below a closed key are not documented, and a map that only holds keys may have no row."""
    documents, closed = documented(docs.TARGET), [key.path for key in all_keys() if key.closed]
    assert documents.keys() - schema_paths() == set()
    missing = schema_paths() - documents.keys()
    missing = {path for path in missing if not any(path.startswith(f"{above}.") for above in [*closed, *documents])}
    assert {path for path in missing if not any(key.startswith(f"{path}.") for key in documents)} == set()


@cache
def blocks() -> list[tuple[str, str]]:
    """Return every YAML block in the documents that has a top-level key of this chart, with its place."""
    # The committed schema: pytest calls this while it collects, and building the schema is slow.
    keys, found = json.loads(schema.TARGET.read_text())["properties"].keys(), []
    for path in DOCUMENTS:
        for number, text in enumerate(re.findall(r"^ *```ya?ml\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL)):
            value = kubeyaml.load(text)
            if isinstance(value, dict) and value.keys() & keys:
                found.append((f"{path.relative_to(ROOT)}[{number}]", text))
    return found


@pytest.mark.parametrize(("where", "text"), blocks(), ids=[where for where, _ in blocks()])
def test_every_example_of_values_is_accepted(where: str, text: str) -> None:
    """By the schema and by the templates, with a preset below it: an example works for a reader who copies it."""
    case = replace(scenario("gpt-oss"), name="gpt-oss", values=("gpt-oss",), extra=json.dumps(kubeyaml.load(text)))
    assert render(case, chart("gpt-oss"))


def test_both_readmes_have_examples_of_values() -> None:
    assert {where.partition("[")[0] for where, _ in blocks()} >= {"README.md", "charts/scout-chat/README.md"}


def test_an_outdated_example_is_noticed() -> None:
    """Planted: a key of the README's example has another name in the schema."""
    (text,) = [text for where, text in blocks() if where == "README.md[0]"]
    values = upstream.merge(defaults(), kubeyaml.load(text))
    assert validator(schema.build()).is_valid(values)
    renamed = json.loads(json.dumps(schema.build()).replace('"clientId"', '"clientID"'))
    assert not jsonschema_rs.Draft7Validator(renamed).is_valid(values)


def test_the_charts_readme_names_the_pinned_versions() -> None:
    text = (CHART / "README.md").read_text().partition(docs.BEGIN)[0]
    for name, pin in pins().charts.items():
        assert f"| chart {name} | {pin.version}" in text
    assert kubeyaml.load((CHART / "Chart.yaml").read_text())["appVersion"] in text
    assert f"run on {pins().kubernetes[0]}" in text
    for helm in ("helm", "helm3"):
        assert pins().tools[helm].version.rpartition(".")[0] in text
    assert f"{pins().engine.gpu.release} in the presets for GPUs, {pins().engine.cpu.release} in the local one" in text
    assert upstream.recorded("open-webui")["appVersion"] not in text


LINK = r"\]\((?!https?://|#)([^)#]+)"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    assert [link for link in re.findall(LINK, path.read_text()) if not (path.parent / link).exists()] == []


def test_the_tests_readme_lists_every_test_file() -> None:
    listed = set(re.findall(r"^\| `((?:objects/)?test_\w+\.py)` \| \S", (ROOT / "tests" / "README.md").read_text(), re.MULTILINE))
    tiers = (ROOT / "tests" / "static", ROOT / "tests" / "cluster")
    assert listed == {path.relative_to(tier).as_posix() for tier in tiers for path in tier.rglob("test_*.py")}


def refusals() -> list[tuple[str, str]]:
    """Return the arguments of each `helm install` that the documents show as refused, with the message that they show."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"^```console\n(\$ helm install.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            found += re.findall(r"^\$ helm install (.*)\n(Error: (?:.+\n)+)", block, re.MULTILINE)
    return found


@pytest.mark.parametrize(("arguments", "message"), refusals(), ids=lambda text: text.split()[-1][-40:])
def test_helm_refuses_with_the_message_in_the_documents(arguments: str, message: str) -> None:
    """Line breaks may differ. The test renders the chart that the document installs."""
    name, _, *options = arguments.split()
    result = subprocess.run([tool("helm"), "template", name, str(chart("local")), *options], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode
    assert refusal(message.replace("INSTALLATION FAILED: ", "")).split() == refusal(result.stderr).split()


def test_the_documents_show_refusals() -> None:
    assert len(refusals()) >= 2
