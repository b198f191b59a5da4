"""Proves: `scout-chat bump` finds each pinned part, explains a version that cannot be had, and says what a new version adds and removes.

tests/cluster/test_bump.py proves the whole command in a clone.
"""

import json
import zipfile
from pathlib import Path

import pytest
import yaml
from scout_chat.chart import upstream
from scout_chat.core import kubeyaml, package_index
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, ROOT, sha256
from scout_chat.core.pins import pins
from scout_chat.core.progress import silent
from scout_chat.core.yaml_edit import set_scalars
from scout_chat.maintain import bump, open_webui_variables, pinned_parts
from scout_chat.planning import catalog

from tests.support.commands import Command, assert_one_message
from tests.support.file_server import serving


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nosuch 1.0.0", ("there is no part nosuch", "vllm, open-webui, chart:NAME")),
        ("chart:vllm 0.1.13", ("there is no part chart:vllm", "NAME is one of vllm-stack, open-webui")),
        ("tool:docker 1.0.0", ("there is no part tool:docker", "helm, helm3, kubectl")),
        ("vllm latest", ("latest is not a version", "0.33.0")),
        ("vllm 0.33", ("0.33 is not a version",)),
        (f"vllm {pins().engine.gpu.release}", (f"vllm is {pins().engine.gpu.release} already",)),
        ("tool:kubelet 1.36.9", ("tool:kubelet always has the version of tool:kubectl", "Bump tool:kubectl")),
        ("openai/gpt-oss-20b v2", ("v2 is not a commit", "40 hexadecimal digits, or main")),
        ("chart:vllm-stack 0.99.0", ("vllm-stack-0.99.0.tgz is not on this machine", "SCOUT_CHAT_CHARTS")),
    ],
)
def test_a_mistake_is_one_message(line: str, words: tuple[str, ...], command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bump, "_status", lambda: [])
    # No repository of charts answers there.
    pinned = pins()
    charts = {name: pin.model_copy(update={"repository": "http://127.0.0.1:9"}) for name, pin in pinned.charts.items()}
    monkeypatch.setattr(pinned_parts, "pins", lambda: pinned.model_copy(update={"charts": charts}))
    assert_one_message(command, f"bump {line}", words)


def test_changes_that_are_not_committed_are_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report and the way back are both relative to the last commit."""
    monkeypatch.setattr(bump, "_status", lambda: ["values/mine.yaml"])
    assert_one_message(command, "bump vllm 0.99.0", ("not everything is committed: values/mine.yaml", "Commit or stash it"))


def test_every_pin_is_a_part() -> None:
    names = ["vllm", "open-webui", *(f"chart:{name}" for name in pins().charts), *(f"tool:{name}" for name in pins().tools)]
    names += [checkpoint.id for model in catalog.models().values() for checkpoint in model.checkpoints]
    assert all(pinned_parts.find(name).version for name in names)


def test_a_value_of_a_yaml_file_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "pins.yaml"
    file.write_text('# A comment.\na:   {b: 1.0, c: "x"} # of a\nlist:\n  - {name: one, v: 1}\n  - name: two\n    v: 2   # two\n')
    set_scalars(file, {("a", "c"): "y", ("list", 1, "v"): "v10.2", ("a", "b"): "2.0.1"})
    assert file.read_text() == '# A comment.\na:   {b: 2.0.1, c: "y"} # of a\nlist:\n  - {name: one, v: 1}\n  - name: two\n    v: v10.2   # two\n'
    for value in ("", "x", "0123456789", "12e4", "1.0", "no", "b5c939de"):
        set_scalars(file, {("a", "b"): value})
        assert kubeyaml.load(file.read_text())["a"]["b"] == value
    with pytest.raises(KeyError, match="a.nosuch"):
        set_scalars(file, {("a", "nosuch"): "1"})


def test_the_lock_has_the_digest_that_helm_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm wrote the committed Chart.lock. Writing the same version again changes nothing but the date."""
    for name in ("Chart.yaml", "Chart.lock"):
        (tmp_path / name).write_text((CHART / name).read_text())
    monkeypatch.setattr(pinned_parts, "CHART", tmp_path)
    pinned_parts._set_dependency("vllm-stack", pins().charts["vllm-stack"].version)
    assert (tmp_path / "Chart.yaml").read_text() == (CHART / "Chart.yaml").read_text()
    written, committed = (yaml.safe_load((folder / "Chart.lock").read_text()) for folder in (tmp_path, CHART))
    assert written["digest"] == committed["digest"]
    pinned_parts._set_dependency("vllm-stack", "0.1.13")
    assert yaml.safe_load((tmp_path / "Chart.lock").read_text())["digest"] != committed["digest"]


def test_values_of_a_chart_that_came_or_went_are_listed() -> None:
    before = upstream.recorded("vllm-stack")
    after = json.loads(json.dumps(before))
    del after["values"]["routerSpec"]["replicaCount"]
    after["values"]["k8s-aibom"] = {"enabled": False}
    after["items"]["modelSpec"].remove("tag")
    after["items"]["modelSpec"].append("pvcExistingClaimName")
    assert pinned_parts._values_that_came_or_went(before, after) == [
        "value removed: routerSpec.replicaCount",
        "value added: k8s-aibom.enabled",
        "modelSpec[] key removed: tag",
        "modelSpec[] key added: pvcExistingClaimName",
    ]
    assert pinned_parts._values_that_came_or_went(before, before) == []


def test_a_variable_that_open_webui_does_not_read_any_more_is_found(tmp_path: Path) -> None:
    """Planted: of all variables that the chart sets, the wheel names all but one."""
    names = open_webui_variables.set_by_the_chart()
    assert {"WEBUI_NAME", "OPENAI_API_CONFIGS", "WEBUI_SECRET_KEY"} <= names
    with zipfile.ZipFile(tmp_path / "open_webui.whl", "w") as wheel:
        wheel.writestr("open_webui/env.py", "\n".join(f"os.getenv('{name}')" for name in names - {"WEBUI_NAME"}))
        wheel.writestr("open_webui/frontend.js", "WEBUI_NAME")
    with serving(tmp_path) as address:
        file = package_index.IndexFile("open_webui.whl", f"{address}/open_webui.whl", sha256(tmp_path / "open_webui.whl"))
        assert open_webui_variables.variables_that_are_not_read(file, silent) == ["WEBUI_NAME"]
        with pytest.raises(UserError, match="open_webui.whl is not the file that the package index lists"):
            open_webui_variables.variables_that_are_not_read(package_index.IndexFile(file.name, file.url, "0" * 64), silent)


def test_the_report_says_what_is_left_to_do() -> None:
    files, left = ["schema/pins.yaml", "tests/snapshots/a.yaml"], ["README.md:3: 0.32.0"]
    effect = bump.Bump("vllm", "v0.32.0", "0.33.0", ["added: --monokernel"], files, "the diff", left)
    assert bump.report(effect).split("\n\n") == [
        "vllm: v0.32.0 → 0.33.0",
        "added: --monokernel",
        "Changed files (2):\n  schema/pins.yaml\n  tests/snapshots (1)",
        "the diff",
        "Lines that still name v0.32.0 (1); which of them should?\n  README.md:3: 0.32.0",
        "Next: read git diff, run make test, add a fragment to changelog.d, and commit.",
    ]
    assert all((ROOT / name).exists() for name in ("schema/pins.yaml", "changelog.d"))
