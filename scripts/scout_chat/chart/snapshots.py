"""Reviewed snapshots: every object of every case as one file, so that a change of what is installed shows in a pull request.

A file holds the whole object under ``tests/snapshots/<case>/<chart>/<Kind>-<name>.yaml``. What differs on every render is a token.
"""

import functools
import re
from pathlib import Path

from scout_chat.chart import upstream
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.paths import CHART, SNAPSHOTS
from scout_chat.core.pins import pins

# The Secret's values are made at random where Helm cannot ask the cluster.
RANDOM = "<random>"
# The chat's environment names its ConfigMap by its hash; the recorded render puts the current one in its place.
ENV_HASH = "<environment-hash>"
VERSION_LABELS = ("helm.sh/chart", "app.kubernetes.io/version")


def text(item: Object) -> str:
    """The object as it stands in its file: keys sorted, tokens in place of noise."""
    body = _tokened(item.body)
    if item.chart == "scout-chat" and item.kind == "Secret":
        body = body | {"data": {key: value and RANDOM for key, value in body["data"].items()}}
    return re.sub(r"(-webui-env-)[0-9a-f]{10}\b", rf"\1{ENV_HASH}", kubeyaml.dump(body))


@functools.cache
def versions() -> dict[str, str]:
    """What a token stands for: a chart's version or its application's would otherwise change every file at each release."""
    own = kubeyaml.load((CHART / "Chart.yaml").read_text())
    charts = {"scout-chat": own["version"]} | {name: pin.version for name, pin in pins().charts.items()}
    named = {f"<{name}-version>": f"{name}-{version}" for name, version in charts.items()}
    return named | {f"<{name}-app-version>": str(upstream.recorded(name)["appVersion"]) for name in pins().charts if upstream.recorded(name)["appVersion"]}


def untokened(content: str) -> str:
    """The file's content with the versions of this checkout in the tokens' places."""
    for token, version in versions().items():
        content = content.replace(token, version)
    return content


def _tokened(node: object) -> object:
    if isinstance(node, list):
        return [_tokened(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _tokens().get(value, value) if key in VERSION_LABELS else _tokened(value) for key, value in node.items()}


@functools.cache
def _tokens() -> dict[str, str]:
    return {version: token for token, version in versions().items()}


def files(case: Case) -> dict[Path, str]:
    """Path under tests/snapshots to content, of the case as it renders now with the real archives."""
    rendered = {}
    for item in render(case):
        name = re.sub(r"-webui-env-[0-9a-f]{10}$", "-webui-env", item.name)
        path = Path(case.name, item.chart, f"{item.kind}-{name}.yaml")
        if path in rendered:
            raise ValueError(f"two objects are called {path}")
        rendered[path] = text(item)
    return rendered


def recorded(case: str) -> dict[Path, str]:
    """Path under tests/snapshots to content, as reviewed."""
    return {file.relative_to(SNAPSHOTS): file.read_text() for file in sorted((SNAPSHOTS / case).rglob("*.yaml"))}


def differences(case: Case) -> list[str]:
    """One line for each file that is missing, stale or different; empty if the snapshots are true."""
    now, then = files(case), recorded(case.name)
    lines = [f"missing: {path}" for path in now.keys() - then.keys()]
    lines += [f"stale: {path}" for path in then.keys() - now.keys()]
    lines += [f"different: {path}" for path in now.keys() & then.keys() if now[path] != then[path]]
    return sorted(lines)


def update() -> list[str]:
    """Writes the snapshots anew and returns what changed, a line a file. A folder of no case goes."""
    changes = []
    for case in scenarios().values():
        now, then = files(case), recorded(case.name)
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
