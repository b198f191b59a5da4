"""Lint the chart as chart-testing does: Chart.yaml, YAML style, the version, and each values file that it would install."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yamale
from semver import Version

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.tools import find, tool

CHART_SCHEMA = ROOT / "schema" / "chart.yamale.yaml"
# Kinds of an entry in the annotation artifacthub.io/changes (Artifact Hub's documentation of Helm annotations).
CHANGES = {"added", "changed", "deprecated", "removed", "fixed", "security"}


def lint() -> Iterator[str]:
    """Yield a line for each check that passes. Raises UserError for the first that fails."""
    check_names()
    yield "ci values: chart-testing uses every file"
    yield check_annotations()
    yield check_version()
    # ct where it is installed (PATH or the cache), else the same checks without it.
    yield from chart_testing() if find("ct").path else same_checks()


def chart_testing() -> Iterator[str]:
    """Run ``ct lint``. Where the archives are at hand, ct does not download them again."""
    with tempfile.TemporaryDirectory() as folder:
        config = kubeyaml.load((ROOT / "ct.yaml").read_text())
        if archives.at_hand():
            del config["chart-repos"]
        path = Path(folder) / "ct.yaml"
        path.write_text(kubeyaml.dump(config))
        # ct calls helm, yamale and yamllint by name.
        (Path(folder) / "helm").symlink_to(tool("helm"))
        search = os.pathsep.join([folder, str(Path(sys.executable).parent), os.environ["PATH"]])
        command = [tool("ct"), "lint", "--config", str(path), "--all", "--chart-yaml-schema", str(CHART_SCHEMA), "--lint-conf", str(ROOT / ".yamllint")]
        _run(*command, *(["--skip-helm-dependencies"] if archives.at_hand() else []), path=search)
    yield "ct lint: passed"


def same_checks() -> Iterator[str]:
    """Run the checks of ``ct lint`` without ct."""
    yamale.validate(yamale.make_schema(CHART_SCHEMA), yamale.make_data(CHART / "Chart.yaml"))
    yield "Chart.yaml: matches chart-testing's schema"
    _run(sys.executable, "-m", "yamllint", "-s", str(CHART / "Chart.yaml"), str(CHART / "values.yaml"), *map(str, ci_values()))
    yield "yamllint: passed"
    for file in ci_values():
        _run(tool("helm"), "lint", str(CHART), "--values", str(file), "--strict")
        yield f"helm lint {file.relative_to(ROOT)}: passed"


def ci_values() -> list[Path]:
    """Return the values files that chart-testing installs."""
    return sorted((CHART / "ci").glob("*-values.yaml"))


def check_names() -> None:
    """Raise UserError for a file that chart-testing would ignore: its name must end in -values.yaml."""
    ignored = [file.name for file in (CHART / "ci").iterdir() if file not in ci_values()]
    if ignored or not ci_values():
        raise UserError(f"chart-testing ignores {', '.join(ignored) or 'everything'} in {CHART / 'ci'}", "Name the values files <name>-values.yaml.")


def check_annotations() -> str:
    """Check the annotation artifacthub.io/changes: Artifact Hub silently drops an entry that it cannot read."""
    annotations = kubeyaml.load((CHART / "Chart.yaml").read_text())["annotations"]
    changes = kubeyaml.load(annotations.get("artifacthub.io/changes", "[]"))
    for entry in changes or [None]:
        if not isinstance(entry, dict) or entry.get("kind") not in CHANGES or not entry.get("description"):
            raise UserError(
                f"{CHART / 'Chart.yaml'}: artifacthub.io/changes has {entry!r}",
                f"Give each entry a description and one of the kinds {', '.join(sorted(CHANGES))}.",
            )
    return f"Chart.yaml: {len(changes)} changes for Artifact Hub"


def check_version(root: Path = ROOT, target: str = "origin/main") -> str:
    """Check that a chart which differs from the target branch's has a later version, as chart-testing's check-version-increment does.

    Versions are compared by SemVer: 0.3.0 is later than 0.3.0-rc.1, and build metadata does not count.
    """

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)

    folder = CHART.relative_to(ROOT)
    base = git("merge-base", target, "HEAD").stdout.strip()
    if not base:
        return f"version: no {target} to compare with"
    if git("diff", "--quiet", base, "--", str(folder)).returncode == 0:
        return f"version: the chart is as on {target}"
    before = kubeyaml.load(git("show", f"{base}:{folder}/Chart.yaml").stdout)["version"]
    now = kubeyaml.load((root / folder / "Chart.yaml").read_text())["version"]
    try:
        is_later = Version.parse(now) > Version.parse(before)
    except ValueError as error:
        raise UserError(f"{folder}/Chart.yaml: {error}", "Helm charts have semantic versions, for example 1.2.3 or 1.3.0-rc.1.") from None
    if not is_later:
        raise UserError(f"{folder}/Chart.yaml: the chart differs from {target}, but its version is still {now}", f"Set a version later than {before}.")
    return f"version: {before} on {target}, {now} here"


def _run(*command: str, path: str = "") -> None:
    env = os.environ | ({"PATH": path} if path else {})
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    if result.returncode:
        raise UserError(f"{' '.join(Path(word).name for word in command[:3])} failed:\n{(result.stdout + result.stderr).strip()[-1500:]}")
