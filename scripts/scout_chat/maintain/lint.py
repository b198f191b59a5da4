"""What chart-testing checks: Chart.yaml, YAML style, the version's step, and a lint for each values file that it would install."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yamale

from scout_chat.chart import archives
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, ROOT
from scout_chat.core.tools import find, tool

CHART_SCHEMA = ROOT / "schema" / "chart.yamale.yaml"
# What an entry of the annotation artifacthub.io/changes may be (Artifact Hub's documentation of Helm annotations).
CHANGES = {"added", "changed", "deprecated", "removed", "fixed", "security"}


def lint() -> Iterator[str]:
    """A line for each check that passed. Raises UserError with the first that did not."""
    check_names()
    yield "ci values: chart-testing takes every file"
    yield check_annotations()
    yield check_version()
    # ct where it is (PATH or the cache), else what it does.
    yield from chart_testing() if find("ct").path else same_checks()


def chart_testing() -> Iterator[str]:
    """``ct lint``. Where the archives are at hand it is kept from asking the charts' repositories for them again."""
    with tempfile.TemporaryDirectory() as folder:
        config = kubeyaml.load((ROOT / "ct.yaml").read_text())
        if archives.at_hand():
            del config["chart-repos"]
        path = Path(folder) / "ct.yaml"
        path.write_text(kubeyaml.dump(config))
        # It calls helm, yamale and yamllint by these names.
        (Path(folder) / "helm").symlink_to(tool("helm"))
        search = os.pathsep.join([folder, str(Path(sys.executable).parent), os.environ["PATH"]])
        command = [tool("ct"), "lint", "--config", str(path), "--all", "--chart-yaml-schema", str(CHART_SCHEMA), "--lint-conf", str(ROOT / ".yamllint")]
        _run(*command, *(["--skip-helm-dependencies"] if archives.at_hand() else []), path=search)
    yield "ct lint: passed"


def same_checks() -> Iterator[str]:
    yamale.validate(yamale.make_schema(CHART_SCHEMA), yamale.make_data(CHART / "Chart.yaml"))
    yield "Chart.yaml: as chart-testing asks"
    _run(sys.executable, "-m", "yamllint", "-s", str(CHART / "Chart.yaml"), str(CHART / "values.yaml"), *map(str, ci_values()))
    yield "yamllint: passed"
    for file in ci_values():
        _run(tool("helm"), "lint", str(CHART), "--values", str(file), "--strict")
        yield f"helm lint {file.relative_to(ROOT)}: passed"


def ci_values() -> list[Path]:
    return sorted((CHART / "ci").glob("*-values.yaml"))


def check_names() -> None:
    """chart-testing passes over a values file whose name does not end in -values.yaml, without a word."""
    ignored = [file.name for file in (CHART / "ci").iterdir() if file not in ci_values()]
    if ignored or not ci_values():
        raise UserError(f"chart-testing would not install {', '.join(ignored) or 'anything'} of {CHART / 'ci'}", "Its values files end in -values.yaml.")


def check_annotations() -> str:
    """Artifact Hub shows the annotations; one that it cannot read it leaves out."""
    annotations = kubeyaml.load((CHART / "Chart.yaml").read_text())["annotations"]
    changes = kubeyaml.load(annotations.get("artifacthub.io/changes", "[]"))
    for entry in changes or [None]:
        if not isinstance(entry, dict) or entry.get("kind") not in CHANGES or not entry.get("description"):
            raise UserError(
                f"{CHART / 'Chart.yaml'}: artifacthub.io/changes has {entry!r}",
                f"Each entry has a description and a kind of {', '.join(sorted(CHANGES))}.",
            )
    return f"Chart.yaml: {len(changes)} changes for Artifact Hub"


def check_version(root: Path = ROOT, target: str = "origin/main") -> str:
    """A chart that differs from the target branch's has a later version, as chart-testing's check-version-increment asks."""

    def git(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)

    folder = CHART.relative_to(ROOT)
    base = git("merge-base", target, "HEAD").stdout.strip()
    if not base:
        return f"version: no {target} to compare with"
    if git("diff", "--quiet", base, "--", str(folder)).returncode == 0:
        return f"version: the chart is as on {target}"
    before = kubeyaml.load(git("show", f"{base}:{folder}/Chart.yaml").stdout)["version"]
    now = kubeyaml.load((root / folder / "Chart.yaml").read_text())["version"]
    if _parts(now) <= _parts(before):
        raise UserError(f"{folder}/Chart.yaml: the chart differs from {target}, but its version is still {now}", f"Give it one after {before}.")
    return f"version: {before} on {target}, {now} here"


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split("."))


def _run(*command: str, path: str = "") -> None:
    env = os.environ | ({"PATH": path} if path else {})
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    if result.returncode:
        raise UserError(f"{' '.join(Path(word).name for word in command[:3])} failed:\n{(result.stdout + result.stderr).strip()[-1500:]}")
