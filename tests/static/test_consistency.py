"""Proves: files that must agree do: versions, pins, image tags, named tests, the values that chart-testing installs; no archive is committed."""

import re
import subprocess

from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, PACKAGE, PRESETS, ROOT
from scout_chat.core.pins import pins
from scout_chat.images.archive import IMAGES


def test_chart_testing_installs_the_local_preset() -> None:
    assert kubeyaml.load((CHART / "ci/local-values.yaml").read_text()) == kubeyaml.load((PRESETS / "local.yaml").read_text())


def test_the_chart_depends_on_the_pinned_versions() -> None:
    dependencies = {entry["name"]: entry for entry in kubeyaml.load((CHART / "Chart.yaml").read_text())["dependencies"]}
    locked = {entry["name"]: entry["version"] for entry in kubeyaml.load((CHART / "Chart.lock").read_text())["dependencies"]}
    for name, pin in pins().charts.items():
        assert dependencies[name]["version"] == locked[name] == pin.version
        assert dependencies[name]["repository"] == pin.repository


def test_every_tool_has_a_go_module_at_its_pinned_version() -> None:
    for name, pin in pins().tools.items():
        module = (PACKAGE / "core" / "gomod" / pin.module / "go.mod").read_text()
        assert (PACKAGE / "core" / "gomod" / pin.module / "go.sum").exists()
        roots = re.findall(rf"^(?:require |\t)(\S+) v{re.escape(pin.version)}(?: .*)?$", module, re.MULTILINE)
        assert any(pin.package.startswith(root) for root in roots), name


def test_the_values_name_the_image_tags_that_are_assembled() -> None:
    values = (CHART / "values.yaml").read_text() + (PRESETS / "local.yaml").read_text()
    for image in IMAGES[1:]:
        tag = image.reference.rpartition(":")[2]
        assert f"tag: {tag}" in values, image.reference
        assert tag.removeprefix("v") in image.source


def test_no_chart_archive_is_committed() -> None:
    assert subprocess.run(["git", "ls-files", "*.tgz"], cwd=ROOT, capture_output=True, text=True).stdout == ""


def test_every_test_that_a_file_names_exists() -> None:
    """In documents, comments and docstrings: ``tests/static/test_x.py`` or ``tests/static/test_x.py::test_y``."""
    tracked = subprocess.run(["git", "ls-files", "*.md", "*.py", "*.yaml", "*.toml"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lost = []
    for name in tracked.splitlines():
        # Test files plant names that do not exist.
        if name.startswith(("tests/snapshots/", "tests/static/")) or not (ROOT / name).exists():
            continue
        for path, test in re.findall(r"(tests/(?:static|cluster)/[\w/]+\.py)(?:::(\w+))?", (ROOT / name).read_text()):
            file = ROOT / path
            if not file.exists() or (test and f"\ndef {test}(" not in file.read_text()):
                lost.append(f"{name}: {path}{'::' * bool(test)}{test}")
    assert lost == []
