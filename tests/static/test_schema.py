"""Proves: the schema is as generated, closed everywhere, and knows every key of the pinned upstream charts.

It does not prove that a bad value is refused; tests/bad does.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
from scout_chat.chart import upstream
from scout_chat.chart.render import RenderError, render
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART
from scout_chat.core.tools import tool
from scout_chat.maintain import generate
from scout_chat.values import docs, schema

from tests.static.conftest import chart


def test_generated_files_are_as_committed() -> None:
    """If this fails after a change that you meant: scout-chat generate, read git diff, commit it."""
    assert generate.stale() == []


def nodes(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Every subschema that describes a value, not those that only ask (if, not, contains)."""
    if isinstance(node, dict):
        yield path, node
        for key in ("properties", "definitions"):
            for name, child in node.get(key, {}).items():
                yield from nodes(child, (*path, name))
        for key in ("items", "additionalProperties"):
            yield from nodes(node.get(key), (*path, key))


def test_an_object_with_keys_takes_no_others() -> None:
    """But for `global`, which parent charts and platforms share; the templates refuse a mistyped key of ours there."""
    open_ = [".".join(path) for path, node in nodes(json.loads(schema.text())) if "properties" in node and node.get("additionalProperties") is not False]
    assert open_ == ["global"]


def test_only_the_subset_that_both_helms_read_alike() -> None:
    """Draft-07, no reference out of the file, no keyword of a later draft, no format (Helm 4 only notes it)."""
    text = (CHART / "values.schema.json").read_text()
    assert json.loads(text)["$schema"] == "http://json-schema.org/draft-07/schema#"
    for keyword in ("$defs", "unevaluatedProperties", "dependentRequired", "prefixItems", "format"):
        assert f'"{keyword}":' not in text
    assert not re.search(r'"\$ref": "(?!#/definitions/)', text)
    jsonschema_rs.Draft7Validator(json.loads(text))


def left_to_templates(node: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict]]:
    """Every path whose limit the templates explain (``x-words``), with its schema; an engine's as those of the first entry."""
    definitions = schema.build()["definitions"]
    said, name = schema.resolved(node, definitions)
    if said.get("x-words"):
        yield ".".join(path), said
    for key, child in {} if name[:1].isupper() else said.get("properties", {}).items():
        yield from left_to_templates(definitions["modelSpec"] if key == "modelSpec" else child, (*path, "modelSpec[0]" if key == "modelSpec" else key))


def outside(node: dict) -> object:
    """A value that the limit forbids."""
    if "const" in node:
        return not node["const"] if isinstance(node["const"], bool) else 81 if isinstance(node["const"], int) else "other"
    if "maxItems" in node:
        return [{"name": "x"}]
    return {"number": 5}.get(node.get("type", ""), "latest" if "not" in node else "x" if "maxLength" in node and "pattern" not in node else " no value ")


LIMITS = dict(left_to_templates(schema.build()))
# --set-json merges maps, so it cannot empty one; tests/bad/labels-empty.yaml does it another way.
LIMITS.pop("vllm-stack.servingEngineSpec.labels")


@pytest.mark.parametrize("path", LIMITS)
def test_a_limit_that_the_schema_leaves_to_the_templates_is_held_by_them(path: str) -> None:
    refused = 0
    for name in ("gpt-oss", "external-oidc", "local"):
        try:
            render(replace(scenario(name), json=(f"{path}={json.dumps(outside(LIMITS[path]))}",)), chart(name))
        except RenderError:
            refused += 1
    assert refused


@pytest.mark.parametrize("name", ["modelSpec", "vllmConfig"])
def test_every_key_of_an_engine_that_the_upstream_templates_read_is_taken_or_refused(name: str) -> None:
    """A bump that brings a key shows here: decide what becomes of it."""
    source = kubeyaml.load((schema.SOURCES / "vllm-stack.yaml").read_text())["definitions"]["modelSpec"]
    ours = source if name == "modelSpec" else source["properties"]["vllmConfig"]
    read = set(upstream.recorded("vllm-stack")["items"][name])
    assert set(ours["properties"]) | set(ours["x-refused"]) == read
    assert not set(ours["properties"]) & set(ours["x-refused"])


@pytest.mark.parametrize("name", ["vllm-stack", "open-webui"])
def test_every_default_of_the_upstream_chart_has_a_place(name: str) -> None:
    """Helm checks the coalesced values: a default without a key in the schema would refuse every install."""
    built = schema.build()
    validator = jsonschema_rs.Draft7Validator({**built["properties"][name], "definitions": built["definitions"]})
    assert [error.message for error in validator.iter_errors(upstream.values_of(name))] == []


def test_a_stale_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the sources say something else than the file."""
    monkeypatch.setattr(schema, "text", lambda: "{}")
    assert "charts/scout-chat/values.schema.json" in generate.stale()


@pytest.mark.charts
def test_one_update_brings_all_in_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As after a bump: the record lacks a key that the archive has. What is made from the record is made from the new one."""
    old = {name: upstream.recorded(name) for name in ("vllm-stack", "open-webui")}
    old["open-webui"] = old["open-webui"] | {"values": {key: value for key, value in old["open-webui"]["values"].items() if key != "hostAliases"}}
    for name, record in old.items():
        (tmp_path / f"{name}.yaml").write_text(kubeyaml.dump(record))
    (tmp_path / "README.md").write_text(docs.README.read_text())
    monkeypatch.setattr(upstream, "FOLDER", tmp_path)
    monkeypatch.setattr(schema, "TARGET", tmp_path / "values.schema.json")
    monkeypatch.setattr(schema, "SOURCES", shutil.copytree(schema.SOURCES, tmp_path / "sources"))
    source = tmp_path / "sources/open-webui.yaml"
    source.write_text(source.read_text().replace("  hostAliases: ", "  hostAliasesNoMore: "))
    monkeypatch.setattr(docs, "TARGET", tmp_path / "values.md")
    monkeypatch.setattr(docs, "README", tmp_path / "README.md")
    try:
        generate.forget()
        assert "hostAliases" not in schema.build()["properties"]["open-webui"]["properties"]
        generate.write()
        assert "hostAliases" in json.loads((tmp_path / "values.schema.json").read_text())["properties"]["open-webui"]["properties"]
    finally:
        monkeypatch.undo()
        generate.forget()


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_the_schema_is_in_force_for_both_helms(helm: str) -> None:
    """A key nobody knows is refused by plain `helm template`, not only by this suite."""
    options = scenario("local").options()
    result = subprocess.run([tool(helm), "template", "x", str(chart()), *options, "--set", "global.chat.x=1"], capture_output=True, text=True)
    assert result.returncode and "at '/global/chat': additional properties 'x' not allowed" in result.stderr


def test_a_preset_and_a_users_file_pass() -> None:
    """The other side of the corpus: what is right is not refused."""
    for name, extra in (("gpt-oss", {"global": {"chat": {"name": "Ward 3"}}}), ("local", {"vllmRouter": {"nodeSelector": {"disk": "ssd"}}})):
        case = scenario(name)
        render(replace(case, extra=json.dumps(extra)), chart(name))
