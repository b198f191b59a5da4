"""Proves: ``scout-chat diff`` compares two versions of the real chart; each mistake of a user ends in one message."""

import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart import archives, render
from scout_chat.chart.scenarios import scenarios
from scout_chat.cli import app
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, PRESETS, ROOT
from scout_chat.core.tools import tool
from scout_chat.review import diff, sides
from scout_chat.review.report import Report
from scout_chat.review.sides import Side, side, with_values, working_tree
from scout_chat.review.terminal import terminal_text


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart, which nobody else changes meanwhile."""
    return Path(shutil.copytree(CHART, tmp_path / "old" / "scout-chat"))


def compared(chart: Path, sets: tuple[str, ...] = (), edit: tuple[str, str, str] = ("", "", ""), names: tuple[str, ...] = ("local", "external")) -> Report:
    """The chart against itself with values set, or a file of it edited."""
    new = chart.parent.with_name("new") / "scout-chat"
    shutil.copytree(chart, new)
    if edit[0]:
        text = (new / edit[0]).read_text()
        assert text.count(edit[1]) == 1
        (new / edit[0]).write_text(text.replace(edit[1], edit[2]))
    cases = {name: scenarios()[name] for name in names}
    after = {name: replace(case, sets=sets) for name, case in cases.items()}
    return diff.compare(Side("old", chart, cases), Side("new", new, after))


def objects(report: Report) -> dict[str, set[str]]:
    return {consequence: {item.object for item in found} for consequence, found in report.groups().items()}


@pytest.mark.charts
def test_an_image_tag_restarts_open_webui_and_nothing_else(chart: Path) -> None:
    report = compared(chart, ("open-webui.image.tag=9.9.9",))
    # The test that `helm test` runs takes the same image.
    assert objects(report) == {"pods restart": {"Deployment/chat-open-webui"}, "other": {"Pod/chat-test-chat"}}
    assert {change.path for change in report.changes} == {
        "spec.template.spec.containers[open-webui].image",
        "spec.template.spec.initContainers[copy-app-data].image",
        "spec.containers[chat].image",
    }
    assert set(report.changes.values()) == {("local", "external")}, "a change that both scenarios have is one"


@pytest.mark.charts
def test_another_context_length_reloads_the_engine(chart: Path) -> None:
    report = compared(chart, ("vllm-stack.servingEngineSpec.modelSpec[0].vllmConfig.maxModelLen=2048",), names=("local",))
    assert objects(report) == {"engine reloads": {"Deployment/chat-smollm2-135m-deployment-vllm"}}
    (change,) = report.changes
    assert (change.path, change.new) == ("spec.template.spec.containers[vllm].command[--max-model-len]", "2048")


@pytest.mark.charts
def test_an_engine_label_is_refused(chart: Path) -> None:
    report = compared(chart, ("vllm-stack.servingEngineSpec.labels.release=other",), names=("local",))
    assert "Deployment/chat-smollm2-135m-deployment-vllm" in objects(report)["refused"] & objects(report)["engine reloads"]


@pytest.mark.charts
def test_a_version_of_the_chart_alone_changes_nothing(chart: Path) -> None:
    report = compared(chart, edit=("Chart.yaml", "\nversion: ", "\nversion: 9"))
    assert report.changes == {} and report.scenarios == ("local", "external")


@pytest.mark.charts
def test_a_refusal_of_the_new_side_is_a_change_and_of_the_old_a_notice(chart: Path) -> None:
    report = compared(chart, ("global.llm.mode=nonsense",), names=("local",))
    assert [(change.consequence, change.object) for change in report.changes] == [("refused", "chart")]
    both = diff.compare(Side("a", chart, {"x": replace(scenarios()["local"], values=())}), Side("b", chart, {"x": scenarios()["local"]}))
    assert not both.changes and [refusal.side for refusal in both.refusals] == ["old"]
    assert "x renders now; a refused it: " in terminal_text(both).plain


@pytest.mark.charts
def test_a_revision_and_a_package_are_sides(chart: Path, tmp_path: Path) -> None:
    """HEAD with its own values, and a package with the working tree's."""
    (tmp_path / "head").mkdir()
    head = side("HEAD", tmp_path / "head")
    assert head.label.startswith("HEAD (") and "local" in head.scenarios
    assert all(Path(f"{value}.yaml").is_relative_to(tmp_path) for case in head.scenarios.values() for value in case.values)
    subprocess.run([tool("helm"), "package", str(chart), "--destination", str(tmp_path)], check=True, capture_output=True)
    (package,) = tmp_path.glob("*.tgz")
    (tmp_path / "packed").mkdir()
    packed = side(str(package), tmp_path / "packed")
    assert diff.compare(packed, Side("copy", chart, scenarios()), ["local"]).changes == {}


@pytest.mark.charts
def test_ones_own_values_are_rendered_and_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("global: {chat: {name: Radiology}}\n")
    (tmp_path / "files").mkdir()
    monkeypatch.setattr(diff, "render_all", lambda *_: pytest.fail("this keeps renders"))
    monkeypatch.setattr(render, "_cached", lambda *_: pytest.fail("this keeps renders"))
    version = with_values(working_tree(), [PRESETS / "local.yaml", mine], tmp_path / "files")
    report = diff.compare(replace(version, scenarios={"local.yaml + mine.yml": replace(scenarios()["local"], extra="")}), version)
    assert [(change.path, change.new) for change in report.changes] == [("data.WEBUI_NAME", "Radiology")]


# What a user gets wrong


def message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["scout-chat", "diff", *arguments])
    with pytest.raises(SystemExit) as done:
        app.main()
    assert done.value.code == 1
    return capsys.readouterr().err


def package(tmp_path: Path, name: str) -> str:
    (tmp_path / name).mkdir()
    (tmp_path / name / "Chart.yaml").write_text("{name: scout-chat, version: 0.1.0, dependencies: [{name: vllm-stack}]}")
    with tarfile.open(tmp_path / f"{name}.tgz", "w:gz") as tar:
        tar.add(tmp_path / name, name)
    return str(tmp_path / f"{name}.tgz")


@pytest.mark.charts
def test_mistakes_are_one_message_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "text.tgz").write_text("no archive")
    assert message(monkeypatch, capsys, "no-such-branch").startswith("Error: there is no revision no-such-branch in this repository\n")
    assert message(monkeypatch, capsys, "--", "--output=x").startswith("Error: there is no revision --output=x")
    assert "Did you mean local" in message(monkeypatch, capsys, "--scenario", "locale")
    assert "Did you mean pods restart?" in message(monkeypatch, capsys, "--fail-on", "pod-restart")
    assert "cannot be combined" in message(monkeypatch, capsys, "--scenario", "local", "-f", "x.yaml")
    assert "there is no values file x.yaml" in message(monkeypatch, capsys, "-f", "x.yaml")
    assert "there is no file gone.tgz" in message(monkeypatch, capsys, "gone.tgz")
    assert "is not a package of the chart scout-chat" in message(monkeypatch, capsys, str(tmp_path / "text.tgz"))
    assert "is not a package of the chart scout-chat" in message(monkeypatch, capsys, package(tmp_path, "other"))
    assert "was packaged without vllm-stack" in message(monkeypatch, capsys, package(tmp_path, "scout-chat"))
    assert "cannot be written" in message(monkeypatch, capsys, "--scenario", "local", "--html", str(tmp_path / "no" / "x.html"))


def test_without_archives_one_message_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(*_: object) -> None:
        raise archives.ChartsMissing("chart archives are missing", "Put them somewhere.")

    monkeypatch.setattr(archives, "vendor", missing)
    assert message(monkeypatch, capsys) == "Error: chart archives are missing\nPut them somewhere.\n"


@pytest.mark.charts
def test_a_revision_with_other_archives_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_cache: Path) -> None:
    pins = tmp_path / "pins.yaml"
    pins.write_text((ROOT / "schema/pins.yaml").read_text().replace("version: 16.0.0", "version: 15.9.9"))
    monkeypatch.setattr(archives, "_pull", lambda *_: "not to be had")
    with pytest.raises(UserError, match=r"v1 pins open-webui-15\.9\.9\.tgz .* is neither on this machine nor in https://helm\.openwebui\.com"):
        sides._archives("v1", pins)
