"""Proves: this package reads YAML as Helm and Kubernetes do: scalars, keys, duplicate keys.

The reference is Helm itself: both versions parse each scalar, as a value and as a key.
"""

import json
import subprocess
from pathlib import Path

import pytest
from scout_chat.chart.render import RenderError, parse
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART
from scout_chat.core.tools import tool


def test_a_duplicate_key_is_an_error() -> None:
    with pytest.raises(RenderError, match=r"scout-chat/templates/x.yaml: duplicate keys: name, line 4"):
        parse("# Source: scout-chat/templates/x.yaml\nkind: Pod\nmetadata:\n  name: a\n  name: b\n")


SCALARS = """y Y yes n no on OFF true True TRUE FALSE tRue ~ null Null NULL nULL 0 -0 +1 007 0666 -0666 08 0o17 0O17 0b101 0x1F 0x 1_000 1__0 _1
1e3 1E3 1.5e-3 -1.5 .5 5. . 1.0 123456789012 1e400 .inf -.inf +.INF .nan 12:30 12:30:45 1:2 2024-01-01 2024-01-01T10:00:00Z
= << a=b 1.2.3 v1 1Gi 250m 0.1 00 0.0 1e3x +.5 --x - e3 0b12 0o8 0x1g 1_.5""".split()  # noqa: SIM905


def test_scalars_are_read_as_helm_reads_them(helm: str, tmp_path: Path) -> None:
    """Each as a value and as a key. Helm refuses what JSON cannot hold (infinity); these are left out."""
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


def test_the_default_values_have_no_null() -> None:
    """Helm 3 deletes the default of a subchart, and Helm 4 restores it."""

    def nulls(value: object, path: str = "") -> list[str]:
        if isinstance(value, dict):
            return [found for key, child in value.items() for found in nulls(child, f"{path}.{key}")]
        return [path] if value is None else []

    assert nulls(kubeyaml.load((CHART / "values.yaml").read_text())) == []
