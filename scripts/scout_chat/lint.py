"""What chart-testing checks: Chart.yaml, values, and a lint for each values file that it would install."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yamale

from .errors import UserError
from .paths import CHART, ROOT
from .tools import tool

# Fields of Chart.yaml as chart-testing's own schema asks for them.
CHART_SCHEMA = """
name: str()
home: str(required=False)
version: str()
apiVersion: str()
appVersion: any(str(), num(), required=False)
description: str()
type: str()
kubeVersion: str(required=False)
keywords: list(str(), required=False)
maintainers: list(map(any(str(), required=False)))
dependencies: list(map(any(str(), bool(), list(), required=False)), required=False)
annotations: map(str(), str(), required=False)
"""


def lint() -> Iterator[str]:
    """A line for each check that passed. Raises UserError with the first that did not."""
    check_names()
    yield "ci values: chart-testing takes every file"
    if ct := shutil.which("ct"):
        yield _run(ct, "lint", "--config", "ct.yaml", "--all")
        return
    yamale.validate(yamale.make_schema(content=CHART_SCHEMA), yamale.make_data(CHART / "Chart.yaml"))
    yield "Chart.yaml: as chart-testing asks"
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


def _run(*command: str) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"HELM": tool("helm")})
    if result.returncode:
        raise UserError(f"{' '.join(command[:3])} failed:\n{(result.stdout + result.stderr).strip()[-1500:]}")
    return result.stdout.strip()
