"""Proves: a preset means the same to Helm 3 and Helm 4, and the loader sees what Kubernetes would see."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart import render as rendering
from scout_chat.chart.render import Case, RenderError, parse, render
from scout_chat.chart.scenarios import scenario
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART
from scout_chat.core.tools import tool

from tests.static.conftest import chart, rendered


def comparable(case: Case) -> dict:
    """Objects by identity; the Secret's random values left out."""
    objects = {(item.chart, item.kind, item.name): item.body for item in rendered(case)}
    return {key: body | {"data": sorted(body.get("data") or {})} if key[1] == "Secret" else body for key, body in objects.items()}


@pytest.mark.charts
def test_helm_3_and_helm_4_render_equal_objects(case: Case) -> None:
    assert comparable(case) == comparable(replace(case, helm="helm3"))


@pytest.mark.charts
def test_rendering_is_the_same_for_every_supported_kubernetes(case: Case) -> None:
    """No object depends on a minor today; if one starts to, this says which."""
    assert comparable(case) == comparable(replace(case, kubernetes="1.34"))


def test_a_duplicate_key_is_an_error() -> None:
    with pytest.raises(RenderError, match=r"scout-chat/templates/x.yaml: duplicate keys: name, line 4"):
        parse("# Source: scout-chat/templates/x.yaml\nkind: Pod\nmetadata:\n  name: a\n  name: b\n")


SCALARS = """y Y yes n no on OFF true True TRUE FALSE tRue ~ null Null NULL nULL 0 -0 +1 007 0666 -0666 08 0o17 0O17 0b101 0x1F 0x 1_000 1__0 _1
1e3 1E3 1.5e-3 -1.5 .5 5. . 1.0 123456789012 1e400 .inf -.inf +.INF .nan 12:30 12:30:45 1:2 2024-01-01 2024-01-01T10:00:00Z
= << a=b 1.2.3 v1 1Gi 250m 0.1 00 0.0 1e3x +.5 --x - e3 0b12 0o8 0x1g 1_.5""".split()  # noqa: SIM905


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_scalars_are_read_as_helm_reads_them(helm: str, tmp_path: Path) -> None:
    """Each as a value and as a key, by Helm's own parser and by ours; what is no JSON (an infinity) Helm refuses, and it is left out."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: t, version: 0.0.1}")
    (tmp_path / "values.yaml").write_text(json.dumps({"scalars": SCALARS}))
    (tmp_path / "templates/t.yaml").write_text(
        """{{ range .Values.scalars }}
{{ toJson (dict "scalar" . "value" (toJson (fromYaml (printf "x: %s" .))) "key" (toJson (fromYaml (printf "%s: {a: b}" .)))) }}
{{ end }}"""
    )
    output = subprocess.run([tool(helm), "template", "t", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    answers = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [answer["scalar"] for answer in answers] == SCALARS
    different = []
    for answer in answers:
        for text, helms in ((f"x: {answer['scalar']}", json.loads(answer["value"])), (f"{answer['scalar']}: {{a: b}}", json.loads(answer["key"]))):
            if "Error" in helms or not helms:
                continue
            ours = kubeyaml.load(text)
            if (ours, list(map(type, ours.values()))) != (helms, list(map(type, helms.values()))):
                different.append(f"{text}: ours {ours}, Helm's {helms}")
    assert not different, "\n".join(different)


@pytest.mark.charts
def test_a_dropped_value_is_an_error() -> None:
    """Helm only warns when a table meets a string, and drops one of them."""
    with pytest.raises(RenderError, match="Helm dropped a value"):
        render(replace(scenario("local"), sets=("open-webui.copyAppData.resources=yes",), schema=False), CHART)


def test_no_null_in_default_values() -> None:
    """Helm 3 deletes the subchart's default, Helm 4 brings it back."""

    def nulls(value: object, path: str = "") -> list[str]:
        if isinstance(value, dict):
            return [found for key, child in value.items() for found in nulls(child, f"{path}.{key}")]
        return [path] if value is None else []

    assert nulls(kubeyaml.load((CHART / "values.yaml").read_text())) == []


def test_a_helm_that_was_killed_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory, say: nothing is kept, and the next render asks again."""
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\nkill -9 $$\n")
    helm.chmod(0o755)
    monkeypatch.setattr(rendering, "tool", lambda name: str(helm))
    case = replace(scenario("local"), release="killed")
    for _ in range(2):
        with pytest.raises(UserError, match="helm was killed by signal 9 while it rendered local"):
            render(case, chart())
