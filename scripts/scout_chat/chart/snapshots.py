"""Reviewed snapshots: every object of every scenario as one file, so that a pull request shows each change of what is installed.

A file holds one whole object: ``tests/snapshots/<scenario>/<chart>/<Kind>-<name>.yaml``. A token stands for each part that changes
with every render or every release.
"""

import functools
import os
import re
from pathlib import Path
from typing import Any

from scout_chat.chart import archives, upstream
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.errors import UserError
from scout_chat.core.paths import CHART, SNAPSHOTS
from scout_chat.core.pins import pins

# Without a cluster Helm renders the created Secret with new random values each time.
RANDOM = "<random>"
# The ConfigMap with the chat's environment is named by its hash. A recorded render inserts the current hash.
ENV_HASH = "<environment-hash>"
VERSION_LABELS = ("helm.sh/chart", "app.kubernetes.io/version")


def text(item: Object) -> str:
    """Return the object as its file holds it: keys sorted, with tokens."""
    body = _tokened(item.body)
    if item.chart == "scout-chat" and item.kind == "Secret":
        body = body | {"data": {key: value and RANDOM for key, value in body["data"].items()}}
    return re.sub(r"(-webui-env-)[0-9a-f]{10}\b", rf"\1{ENV_HASH}", kubeyaml.dump(body))


@functools.cache
def versions() -> dict[str, str]:
    """Return what each token stands for: versions of charts and applications, which would change every file at each release."""
    own = kubeyaml.load((CHART / "Chart.yaml").read_text())
    charts = {"scout-chat": own["version"]} | {name: pin.version for name, pin in pins().charts.items()}
    named = {f"<{name}-version>": f"{name}-{version}" for name, version in charts.items()}
    return named | {f"<{name}-app-version>": str(upstream.recorded(name)["appVersion"]) for name in pins().charts if upstream.recorded(name)["appVersion"]}


def untokened(content: str) -> str:
    """Return the file's content with this checkout's versions in place of the tokens."""
    for token, version in versions().items():
        content = content.replace(token, version)
    return content


def _tokened(node: Any) -> Any:
    if isinstance(node, list):
        return [_tokened(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _tokens().get(value, value) if key in VERSION_LABELS else _tokened(value) for key, value in node.items()}


@functools.cache
def _tokens() -> dict[str, str]:
    return {version: token for token, version in versions().items()}


def rendered(case: Case) -> dict[Path, str]:
    """Render the case with the real archives. Return path under tests/snapshots to content."""
    files: dict[Path, str] = {}
    for item in render(case):
        name = re.sub(r"-webui-env-[0-9a-f]{10}$", "-webui-env", item.name)
        path = Path(case.name, item.chart, f"{item.kind}-{name}.yaml")
        if path in files:
            raise ValueError(f"two objects are called {path}")
        files[path] = text(item)
    return files


def recorded(case: str) -> dict[Path, str]:
    """Return the reviewed files of a scenario: path under tests/snapshots to content."""
    return {file.relative_to(SNAPSHOTS): file.read_text() for file in sorted((SNAPSHOTS / case).rglob("*.yaml"))}


def differences(case: Case) -> list[str]:
    """Return a line for each file that is missing, stale or different; empty if the snapshots are current."""
    now, then = rendered(case), recorded(case.name)
    lines = [f"missing: {path}" for path in now.keys() - then.keys()]
    lines += [f"stale: {path}" for path in then.keys() - now.keys()]
    lines += [f"different: {path}" for path in now.keys() & then.keys() if now[path] != then[path]]
    return sorted(lines)


def all_differences() -> list[str]:
    """Return the differences of every scenario. Raises ChartsMissing without the real archives."""
    archives.vendor()
    return [line for case in scenarios().values() for line in differences(case)]


def update() -> list[str]:
    """Write every snapshot, remove those of unknown scenarios, and return a line for each changed file.

    Raises UserError in CI, where nobody reads the difference, and ChartsMissing without the real archives.
    """
    if os.environ.get("CI"):
        raise UserError("CI never writes snapshots", "Run `make snapshots` where you can read the difference, and commit it.")
    archives.vendor()
    changes = []
    for case in scenarios().values():
        now, then = rendered(case), recorded(case.name)
        for path, content in now.items():
            if then.get(path) != content:
                (SNAPSHOTS / path).parent.mkdir(parents=True, exist_ok=True)
                (SNAPSHOTS / path).write_text(content)
                changes.append(f"{'changed' if path in then else 'new'}: {path}")
        for path in then.keys() - now.keys():
            (SNAPSHOTS / path).unlink()
            changes.append(f"removed: {path}")
    for folder in SNAPSHOTS.iterdir():
        if folder.is_dir() and folder.name not in scenarios():
            for path in recorded(folder.name):
                (SNAPSHOTS / path).unlink()
                changes.append(f"removed: {path}")
    return sorted(changes)
