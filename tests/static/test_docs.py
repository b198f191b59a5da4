"""Proves: what the documents say of values is what the schema and the defaults say, and every example of values in them is accepted.

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
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.pins import pins
from scout_chat.core.tools import tool
from scout_chat.values import docs, schema

from tests.static.conftest import chart

DOCUMENTS = [ROOT / "README.md", CHART / "README.md", ROOT / "tests" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def built() -> dict:
    return schema.build()


def entries() -> list[docs.Entry]:
    return [entry for section in docs.sections() for entry in section.entries]


def validator(node: dict) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator({**node, "definitions": built()["definitions"]})


def nodes(node: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Every key of this schema and of the definitions that are not Kubernetes', with where it stands."""
    for key, child in node.get("properties", {}).items():
        yield (*path, key), child
        yield from nodes(child, (*path, key))
    for name, child in node.get("definitions", {}).items():
        if not name[0].isupper():
            yield (name,), child
            yield from nodes(child, (name,))


def test_the_committed_files_are_as_generated() -> None:
    """If this fails after a change that you meant: scout-chat generate, read git diff, commit it."""
    stale = [path.name for path, text in docs.generated_files().items() if not path.exists() or path.read_text() != text]
    assert stale == []


def test_a_hand_edited_table_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Planted: somebody changes a default in the README's table; what stands around the table is theirs."""
    copy = tmp_path / "README.md"
    monkeypatch.setattr(docs, "README", copy)
    ours = (CHART / "README.md").read_text()
    copy.write_text(ours.replace('`"x-session-id"`', '`"x-session"`'))
    assert docs.readme() == ours != copy.read_text()
    copy.write_text("My words.\n" + ours)
    assert docs.readme() == copy.read_text()


def test_every_own_key_has_a_description() -> None:
    own = [entry for entry in entries() if entry.path.split(".")[0] in {"global", *built()["properties"]} - pins().charts.keys()]
    assert len(own) > 50
    assert [entry.path for entry in own if not entry.description] == []


def test_what_is_closed_has_a_reason() -> None:
    assert [entry.path for entry in entries() if entry.closed and not entry.description] == []


def test_every_example_is_accepted_where_it_stands() -> None:
    refused, seen = [], 0
    for path, node in nodes(built()):
        for example in node.get("examples", []):
            seen += 1
            refused += [f"{'.'.join(path)}: {example}"] if not validator(node).is_valid(example) else []
    assert seen > 10 and refused == []


def test_the_defaults_are_accepted() -> None:
    """As Helm checks them: this chart's values over the upstream charts'. What they lack, a model and a sign-in, the templates ask for."""
    assert [f"{error.instance_path}: {error.message}" for error in validator(built()).iter_errors(defaults())] == []


def documented(path: Path) -> dict[str, str]:
    """Key to the default that the file's tables say."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in path.read_text().splitlines() if re.match(r"\| `[^`]+` \|.*\|$", line)]
    return {cells[0].strip().strip("`"): cells[2].strip() for cells in rows if len(cells) == 4}


@cache
def defaults() -> dict:
    """Every default: this chart's own, and the upstream charts' as it leaves them."""
    return kubeyaml.load((CHART / "values.yaml").read_text()) | {name: upstream.values_of(name) for name in pins().charts}


def real(path: str) -> object:
    """The default at the path, or None."""
    value: object = defaults()
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


@pytest.mark.parametrize("path", [docs.TARGET, docs.README], ids=lambda path: path.parent.name)
def test_every_documented_default_is_the_real_one(path: Path) -> None:
    """Read from the Markdown, not from what wrote it."""
    wrong, shown = [], 0
    for key, default in documented(path).items():
        if default.startswith("`"):
            shown += 1
            said = json.loads(default.strip("`").replace(r"\|", "|"))
            wrong += [f"{key}: {said}"] if said != real(key) else []
        elif default.startswith("in ") or default.startswith("the upstream"):
            wrong += [f"{key}: {default}"] if real(key) in (None, "", [], {}) else []
    assert shown > 60 and wrong == []


def schema_paths() -> set[str]:
    """Every key that values can have, as the documents write it; Kubernetes' own types are leaves."""
    definitions = built()["definitions"]

    def walk(node: dict, path: str) -> Iterator[str]:
        node, name = schema.resolved(node, definitions)
        if name[:1].isupper() or name == "modelSpec":
            return
        for key, child in node.get("properties", {}).items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from walk(child, below)

    copies = {f"{name}.global" for name in pins().charts}
    return set(walk(built(), "")) - copies | set(walk({"properties": definitions["modelSpec"]["properties"]}, ""))


def test_no_documented_key_is_one_that_the_schema_lacks_and_none_is_left_out() -> None:
    """Below a closed key nothing is written; a map that only holds keys may stand without a row of its own."""
    documents, closed = documented(docs.TARGET), [entry.path for entry in entries() if entry.closed]
    assert documents.keys() - schema_paths() == set()
    missing = schema_paths() - documents.keys()
    missing = {path for path in missing if not any(path.startswith(f"{above}.") for above in [*closed, *documents])}
    assert {path for path in missing if not any(key.startswith(f"{path}.") for key in documents)} == set()


def blocks() -> list[tuple[str, str]]:
    """Every YAML block of the documents that is values of this chart: its top keys are this chart's."""
    found = []
    for path in DOCUMENTS:
        for number, text in enumerate(re.findall(r"^ *```ya?ml\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL)):
            value = kubeyaml.load(text)
            if isinstance(value, dict) and value.keys() & built()["properties"].keys():
                found.append((f"{path.relative_to(ROOT)}[{number}]", text))
    return found


@pytest.mark.parametrize(("where", "text"), blocks(), ids=[where for where, _ in blocks()])
def test_every_example_of_values_is_accepted(where: str, text: str) -> None:
    """Laid over a preset and rendered, by schema and templates: what a reader copies works."""
    case = replace(scenario("gpt-oss"), name="gpt-oss", values=("gpt-oss",), extra=json.dumps(kubeyaml.load(text)))
    assert render(case, chart("gpt-oss"))


def test_there_are_examples() -> None:
    assert {where.partition("[")[0] for where, _ in blocks()} >= {"README.md", "charts/scout-chat/README.md"}


def test_an_example_that_rots_is_noticed() -> None:
    """Planted: a key of the README's example gets another name in the schema."""
    (text,) = [text for where, text in blocks() if where == "README.md[0]"]
    values = upstream.merge(defaults(), kubeyaml.load(text))
    assert validator(built()).is_valid(values)
    renamed = json.loads(json.dumps(built()).replace('"clientId"', '"clientID"'))
    assert not jsonschema_rs.Draft7Validator(renamed).is_valid(values)


def test_the_charts_readme_names_the_versions_that_are_pinned() -> None:
    said = (CHART / "README.md").read_text().partition(docs.BEGIN)[0]
    for name, pin in pins().charts.items():
        assert f"| chart {name} | {pin.version}" in said
    assert kubeyaml.load((CHART / "Chart.yaml").read_text())["appVersion"] in said
    assert f"run on {pins().kubernetes[0]}" in said
    for helm in ("helm", "helm3"):
        assert pins().tools[helm].version.rpartition(".")[0] in said
    assert upstream.recorded("open-webui")["appVersion"] not in said


LINK = r"\]\((?!https?://|#)([^)#]+)"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_documents_lead_somewhere(path: Path) -> None:
    assert [link for link in re.findall(LINK, path.read_text()) if not (path.parent / link).exists()] == []


def test_the_tutorial_lists_every_test_file() -> None:
    said = set(re.findall(r"^\| `(test_\w+\.py)` \| \S", (ROOT / "tests" / "README.md").read_text(), re.MULTILINE))
    assert said == {path.name for tier in ("static", "cluster") for path in (ROOT / "tests" / tier).glob("test_*.py")}


def refusals() -> list[tuple[str, str]]:
    """Each `helm install` that the documents show as refused, and what they say that Helm says."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"^```\n(\$ helm install.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            found += re.findall(r"^\$ helm install (.*)\n(Error: (?:.+\n)+)", block, re.MULTILINE)
    return found


@pytest.mark.parametrize(("arguments", "said"), refusals(), ids=lambda text: text.split()[-1][-40:])
def test_a_refusal_in_the_documents_is_what_helm_says(arguments: str, said: str) -> None:
    """Line breaks aside. The chart is rendered where the document installs it."""
    name, _, *options = arguments.split()
    result = subprocess.run([tool("helm"), "template", name, str(chart("local")), *options], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode
    assert refusal(said.replace("INSTALLATION FAILED: ", "")).split() == refusal(result.stderr).split()


def test_there_are_refusals() -> None:
    assert len(refusals()) >= 2
