"""Proves: chart-testing accepts this chart, and the checks that replace it where it is not installed refuse what it refuses.

tests/cluster/test_chart_testing.py lets chart-testing install and upgrade the chart.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yamale
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.tools import Tool, find
from scout_chat.maintain import lint


@pytest.mark.charts
def test_the_checks_without_chart_testing_accept_the_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint, "find", lambda name: Tool(name, "", None, ""))
    assert "helm lint charts/scout-chat/ci/local-values.yaml: passed" in list(lint.lint())


@pytest.mark.charts
@pytest.mark.skipif(not find("ct").path, reason="chart-testing is not installed (scout-chat test builds it)")
def test_chart_testing_accepts_the_chart() -> None:
    assert list(lint.chart_testing()) == ["ct lint: passed"]


def test_a_values_file_that_chart_testing_would_ignore_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci/local-values.yaml").touch()
    (tmp_path / "ci/gpu.yaml").touch()
    monkeypatch.setattr(lint, "CHART", tmp_path)
    with pytest.raises(UserError, match=r"ignores gpu\.yaml"):
        lint.check_names()


def with_chart_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Let the checks read a copy of Chart.yaml in which ``old`` is ``new``."""
    text = (CHART / "Chart.yaml").read_text()
    assert old in text
    (tmp_path / "Chart.yaml").write_text(text.replace(old, new))
    monkeypatch.setattr(lint, "CHART", tmp_path)


def test_a_field_that_chart_testing_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_chart_yaml(tmp_path, monkeypatch, "keywords: ", "tags: ")
    with pytest.raises(yamale.YamaleError, match="tags: Unexpected element"):
        next(lint.same_checks())


def test_a_change_that_artifact_hub_cannot_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_chart_yaml(tmp_path, monkeypatch, "- kind: changed", "- kind: improved")
    with pytest.raises(UserError, match="artifacthub.io/changes has .*improved"):
        lint.check_annotations()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false", *arguments], check=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose origin has this chart at version 1.2.3."""
    folder = tmp_path_factory.mktemp("clone")
    chart = folder / CHART.relative_to(ROOT)
    chart.mkdir(parents=True)
    shutil.copy(CHART / "values.yaml", chart)
    (chart / "Chart.yaml").write_text("version: 1.2.3\n")
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """A clone of the test's own."""
    return shutil.copytree(template, tmp_path / "clone")


def test_an_unchanged_chart_keeps_its_version(repository: Path) -> None:
    assert lint.check_version(repository) == "version: the chart is as on origin/main"


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("1.2.3", False), ("1.2.2", False), ("1.2.3-rc.1", False), ("1.2.3+build.5", False), ("1.2.10", True), ("1.2.10-rc.1+build.5", True), ("2.0.0", True)],
)
def test_a_changed_chart_needs_a_later_version(version: str, accepted: bool, repository: Path) -> None:
    chart = repository / CHART.relative_to(ROOT)
    (chart / "values.yaml").write_text("changed: true\n")
    (chart / "Chart.yaml").write_text(f"version: {version}\n")
    if accepted:
        assert lint.check_version(repository) == f"version: 1.2.3 on origin/main, {version} here"
    else:
        with pytest.raises(UserError, match=re.escape(f"its version is still {version}")):
            lint.check_version(repository)


def test_a_release_is_later_than_its_candidate(repository: Path) -> None:
    chart = repository / CHART.relative_to(ROOT)
    (chart / "Chart.yaml").write_text("version: 1.3.0-rc.1\n")
    git(repository, "commit", "--quiet", "--all", "--message=candidate")
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    (chart / "Chart.yaml").write_text("version: 1.3.0\n")
    assert lint.check_version(repository) == "version: 1.3.0-rc.1 on origin/main, 1.3.0 here"


def test_a_version_that_is_not_semver_is_refused(repository: Path) -> None:
    (repository / CHART.relative_to(ROOT) / "Chart.yaml").write_text("version: '1.3'\n")
    with pytest.raises(UserError, match=r"Chart.yaml: 1.3 is not valid SemVer"):
        lint.check_version(repository)


def test_the_workflow_fails_if_chart_testing_skips_the_upgrade() -> None:
    """chart-testing only prints a note. This runs the script of the workflow on such a log."""
    steps = kubeyaml.load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["chart-testing"]["steps"]
    (script,) = [step["run"] for step in steps if "ct install" in step.get("run", "")]
    skipped = "Upgrade testing for release 'scout-chat-x' skipped because of previous revision installation error"
    breaking = "Skipping upgrade test of 'scout-chat' because: 0.4.0 does not have same major and minor version as 0.3.0"
    for log, status in ((skipped, 1), (breaking, 0), ("All charts installed successfully", 0)):
        stub = f'ct() {{ echo "{log}"; }}\n{script}'
        result = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", stub], cwd="/tmp", capture_output=True)
        assert result.returncode == status, log
