"""Proves: the schema is as generated, accepts no unknown key, and has every key of the pinned upstream charts.

It does not prove that an invalid value is refused; test_invalid_values.py does.
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
from scout_chat.chart.render import Case, RenderError, render, render_all
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART
from scout_chat.core.tools import tool
from scout_chat.maintain import generate
from scout_chat.values import docs, schema

from tests.support.renders import chart


def test_generated_files_are_as_committed() -> None:
    """If this fails after an intended change: run scout-chat generate, read git diff, and commit it."""
    assert generate.stale() == []


def nodes(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], KubeObject]]:
    """Yield the path and the content of every subschema that describes a value, but not those inside a condition (if, not, contains)."""
    if isinstance(node, dict):
        yield path, node
        for key in ("properties", "definitions"):
            for name, child in node.get(key, {}).items():
                yield from nodes(child, (*path, name))
        for key in ("items", "additionalProperties"):
            yield from nodes(node.get(key), (*path, key))


def test_an_object_with_keys_accepts_no_others() -> None:
    """The exception is `global`, which parent charts and platforms share. There the templates refuse a mistyped key of ours."""
    open_objects = [".".join(path) for path, node in nodes(json.loads(schema.text())) if "properties" in node and node.get("additionalProperties") is not False]
    assert open_objects == ["global"]


def test_the_schema_uses_only_what_helm_3_and_helm_4_read_alike() -> None:
    """Draft-07 without references to other files, without keywords of later drafts, and without format (Helm 4 does not enforce it)."""
    text = (CHART / "values.schema.json").read_text()
    assert json.loads(text)["$schema"] == "http://json-schema.org/draft-07/schema#"
    for keyword in ("$defs", "unevaluatedProperties", "dependentRequired", "prefixItems", "format"):
        assert f'"{keyword}":' not in text
    assert not re.search(r'"\$ref": "(?!#/definitions/)', text)
    jsonschema_rs.Draft7Validator(json.loads(text))


def template_limits(node: KubeObject, path: tuple[str, ...] = ()) -> Iterator[tuple[str, KubeObject]]:
    """Yield every path whose limits only a template enforces (``x-in-template``), with its schema. An engine is the first item of modelSpec."""
    definitions = schema.build()["definitions"]
    resolved, name = schema.resolved(node, definitions)
    if resolved.get("x-in-template"):
        yield ".".join(path), resolved
    for key, child in {} if name[:1].isupper() else resolved.get("properties", {}).items():
        yield from template_limits(definitions["modelSpec"] if key == "modelSpec" else child, (*path, "modelSpec[0]" if key == "modelSpec" else key))


def forbidden_value(node: KubeObject) -> object:
    """Return a value outside the limits."""
    if "const" in node:
        return not node["const"] if isinstance(node["const"], bool) else 81 if isinstance(node["const"], int) else "other"
    if "maxItems" in node:
        return [{"name": "x"}]
    return {"number": 5}.get(node.get("type", ""), "latest" if "not" in node else "x" if "maxLength" in node and "pattern" not in node else " no value ")


LIMITS = dict(template_limits(schema.build()))
# --set-json merges maps, so it cannot empty one; tests/invalid-values/labels-empty.yaml does that in another way.
LIMITS.pop("vllm-stack.servingEngineSpec.labels")


@pytest.fixture(scope="module")
def enforced() -> set[str]:
    """The limits that the templates enforce in one of three scenarios. A scenario is tried with what those before it accepted."""
    found: set[str] = set()
    for name in ("gpt-oss", "external-oidc", "local"):
        cases = {
            path: replace(scenario(name), json=(f"{path}={json.dumps(forbidden_value(limit))}",), schema=False)
            for path, limit in LIMITS.items()
            if path not in found
        }
        render_all(cases.values(), chart(name))
        found |= {path for path, case in cases.items() if is_refused(case, name)}
    return found


def is_refused(case: Case, name: str) -> bool:
    try:
        render(case, chart(name))
    except RenderError:
        return True
    return False


@pytest.mark.parametrize("path", LIMITS)
def test_the_templates_enforce_each_limit_that_the_schema_leaves_to_them(path: str, enforced: set[str]) -> None:
    assert path in enforced


@pytest.mark.parametrize("name", ["modelSpec", "vllmConfig"])
def test_every_engine_key_of_the_upstream_templates_is_accepted_or_refused_explicitly(name: str) -> None:
    """If an upgrade of the upstream chart adds a key, this fails: decide whether the schema accepts it."""
    source = kubeyaml.load((schema.SOURCES / "vllm-stack.yaml").read_text())["definitions"]["modelSpec"]
    ours = source if name == "modelSpec" else source["properties"]["vllmConfig"]
    read = set(upstream.recorded("vllm-stack")["items"][name])
    assert set(ours["properties"]) | set(ours["x-refused"]) == read
    assert not set(ours["properties"]) & set(ours["x-refused"])


@pytest.mark.parametrize("name", ["vllm-stack", "open-webui"])
def test_the_schema_accepts_every_default_of_the_upstream_chart(name: str) -> None:
    """Helm checks the coalesced values, so it would refuse every install if the schema lacked the key of a default."""
    built = schema.build()
    validator = jsonschema_rs.Draft7Validator({**built["properties"][name], "definitions": built["definitions"]})
    assert [error.message for error in validator.iter_errors(upstream.values_of(name))] == []


def test_a_stale_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the file's content differs from what the sources give."""
    monkeypatch.setattr(schema, "text", lambda: "{}")
    assert "charts/scout-chat/values.schema.json" in generate.stale()


@pytest.mark.charts
def test_one_run_of_generate_updates_files_made_from_other_generated_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As after an upgrade of an upstream chart: its record lacks a key of the archive. The schema is made from the new record."""
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
def test_helm_enforces_the_schema(helm: str) -> None:
    """Plain `helm template` refuses an unknown key, without this suite."""
    options = scenario("local").options()
    result = subprocess.run([tool(helm), "template", "x", str(chart()), *options, "--set", "global.chat.x=1"], capture_output=True, text=True)
    assert result.returncode and "at '/global/chat': additional properties 'x' not allowed" in result.stderr


def test_valid_values_over_a_preset_are_accepted() -> None:
    """The counterpart of test_invalid_values.py."""
    for name, extra in (("gpt-oss", {"global": {"chat": {"name": "Ward 3"}}}), ("local", {"vllmRouter": {"nodeSelector": {"disk": "ssd"}}})):
        case = scenario(name)
        render(replace(case, extra=json.dumps(extra)), chart(name))
