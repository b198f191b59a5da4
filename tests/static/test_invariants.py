"""Proves: a change of one input changes nothing else: chart version, release name, order of overlays, a second render, one switch.

The inputs are compared over all scenarios, except for a second render and an upgrade: one scenario is rendered, and no template of any
chart reads whether it is an upgrade.
"""

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path

import pytest
from scout_chat.chart import archives
from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import Case, Object, parse, render, render_all
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core import kubeyaml
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART, PRESETS
from scout_chat.core.tools import tool

from tests.support.renders import rendered
from tests.support.variants import elsewhere


def comparable(objects: Iterable[Object]) -> dict[str, KubeObject]:
    """Return the objects by Kind/name, without the hash of the environment and without random values."""
    text = re.sub(r"(-webui-env-)[0-9a-f]{10}\b", r"\1<hash>", json.dumps([item.body for item in objects]))
    found = {f"{body['kind']}/{body['metadata']['name']}": body for body in json.loads(text)}
    return {name: body | {"data": sorted(body["data"])} if name.endswith("-webui-secrets") else body for name, body in found.items()}


def leaves(node: object, path: str = "") -> dict[str, object]:
    """Return every value by its path. A list whose items have names is a map with their order; any other list is one value."""
    if isinstance(node, list) and node and all(isinstance(item, dict) and "name" in item for item in node):
        return {path: [item["name"] for item in node]} | leaves({item["name"]: item for item in node}, path)
    if isinstance(node, dict) and node:
        return {name: value for key, child in node.items() for name, value in leaves(child, f"{path}.{key}" if path else key).items()}
    return {path: node}


def differences(before: dict[str, KubeObject], after: dict[str, KubeObject]) -> list[str]:
    """Return ``- Kind/name`` for a removed object, ``+`` for an added one, and ``~ Kind/name path`` for a changed value."""
    lines = [f"- {name}" for name in before.keys() - after.keys()] + [f"+ {name}" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        if before[name] == after[name]:
            continue
        old, new = leaves(before[name]), leaves(after[name])
        lines += [f"~ {name} {path}" for path in old.keys() | new.keys() if old.get(path) != new.get(path) or path not in old or path not in new]
    return sorted(lines)


@pytest.mark.charts
def test_a_new_version_of_the_chart_restarts_nothing(tmp_path: Path) -> None:
    """Only the label with the version changes: pod templates and selectors stay."""
    copy = tmp_path / "scout-chat"
    shutil.copytree(CHART, copy)
    version = kubeyaml.load((copy / "Chart.yaml").read_text())["version"]
    (copy / "Chart.yaml").write_text(re.sub(r"(?m)^version: .*$", "version: 9.9.9", (copy / "Chart.yaml").read_text()))
    render_all(scenarios().values(), copy)
    seen = 0
    for case in scenarios().values():
        lines = differences(comparable(rendered(case)), after := comparable(render(case, copy)))
        assert [line for line in lines if not line.endswith(" metadata.labels.helm.sh/chart")] == [], case.name
        assert json.dumps(after).count("scout-chat-9.9.9") == len(lines) and f"scout-chat-{version}" not in json.dumps(after), case.name
        seen += len(lines)
    assert seen


POD = "~ Deployment/chat-open-webui spec.template.spec"
MAIN = f"{POD}.containers.open-webui"
# Scenario, switch, and globs of all lines that may and must differ.
SWITCHES = [
    ("gpt-oss-compatibility", "compatibility.enabled=false", ["- Service/vllm-router"]),
    ("gpt-oss-hospital", "networkPolicy.enabled=false", ["- NetworkPolicy/*"]),
    # With an Ingress, the upstream chart repeats the address in the container's own environment.
    ("gpt-oss-hospital", "open-webui.ingress.enabled=false", ["- Ingress/chat-open-webui", f"{MAIN}.env", f"{MAIN}.env.WEBUI_URL.*"]),
    ("external-replicas", "open-webui.persistence.enabled=false", ["- PersistentVolumeClaim/chat-open-webui", f"{POD}.volumes.data.*"]),
]


def unexpected(lines: list[str], expected: list[str]) -> list[str]:
    """Return lines that no glob matches, and globs that match no line."""
    strange = [line for line in lines if not any(fnmatchcase(line, glob) for glob in expected)]
    return strange + [f"nothing is {glob}" for glob in expected if not any(fnmatchcase(line, glob) for line in lines)]


@pytest.mark.parametrize(
    ("name", "switch", "expected"),
    [pytest.param(*row, marks=pytest.mark.charts) if row[1].startswith("open-webui") else row for row in SWITCHES],
    ids=[f"{row[0]} {row[1]}" for row in SWITCHES],
)
def test_a_switch_removes_its_part_alone(name: str, switch: str, expected: list[str]) -> None:
    case = scenario(name)
    lines = differences(comparable(rendered(case)), comparable(rendered(replace(case, sets=(switch,)))))
    assert unexpected(lines, expected) == []


@pytest.mark.charts
def test_a_change_of_routers_replaces_the_router_alone() -> None:
    """Of what stays, only the router's Service changes: labels, selector and ports."""
    lines = differences(comparable(rendered(scenario("gpt-oss"))), comparable(rendered(scenario("gpt-oss-vllm-router"))))
    old = [
        "Deployment/chat-deployment-router",
        "ServiceAccount/chat-router-service-account",
        "Role/chat-reader",
        "RoleBinding/chat-deployment-access-binding",
    ]
    added = [f"{kind}/chat-vllm-router" for kind in ("Deployment", "ServiceAccount", "Role", "RoleBinding")]
    service = [f"~ Service/chat-router-service {path}" for path in ("metadata.labels.*", "spec.selector.*", "spec.ports*", "spec.type")]
    assert unexpected(lines, [*(f"- {name}" for name in old), *(f"+ {name}" for name in added), *service]) == []


def test_a_planted_difference_is_found() -> None:
    before = {"A/a": {"x": {"y": 1}, "l": [{"name": "p"}, {"name": "q"}]}, "B/b": {}}
    after = {"A/a": {"x": {"y": 2}, "l": [{"name": "q"}, {"name": "p"}], "z": None}, "C/c": {}}
    lines = differences(before, after)
    assert lines == ["+ C/c", "- B/b", "~ A/a l", "~ A/a x.y", "~ A/a z"]
    assert unexpected(lines, ["+ C/*", "- B/b", "~ A/a [lx]*"]) == ["~ A/a z"]
    assert unexpected(lines, ["* *", "- D/d"]) == ["nothing is - D/d"]


@pytest.mark.charts
@pytest.mark.parametrize("preset", ["gpt-oss", "local"])
def test_the_order_of_overlays_does_not_matter(preset: str) -> None:
    """For overlays that set different values."""
    overlays = {f"overlays/{file.stem}": leaves(kubeyaml.load(file.read_text())) for file in sorted((PRESETS / "overlays").glob("*.yaml"))}
    overlapping = {name for one, other in combinations(overlays, 2) if overlays[one].keys() & overlays[other].keys() for name in (one, other)}
    independent = [name for name in overlays if name not in overlapping]
    assert len(independent) >= 4, f"these set the same values: {overlapping}"
    case = Case("overlays", (preset, *independent))
    assert differences(comparable(rendered(case)), comparable(rendered(replace(case, values=(preset, *reversed(independent)))))) == []


@pytest.mark.charts
def test_release_name_and_namespace_change_nothing_else() -> None:
    """With the names replaced by the original ones, every object is as before."""
    others = {case: elsewhere(case) for case in scenarios().values()}
    render_all(others.values())
    for case, other in others.items():
        body = json.dumps([item.body for item in rendered(other)]).replace(other.release, case.release).replace(other.namespace, case.namespace)
        assert differences(comparable(rendered(case)), comparable(Object("", item) for item in json.loads(body))) == [], case.name


def test_a_second_render_as_an_upgrade_differs_only_in_random_values() -> None:
    """One scenario is enough, because no template reads whether it is an upgrade: the next tests prove that."""
    case = scenario("local-network-policy")
    with chart_for(case) as chart:
        command = [tool(case.helm), "template", case.release, str(chart), "-n", case.namespace, "--include-crds", "--is-upgrade"]
        answer = subprocess.run([*command, "--kube-version", case.kubernetes, *case.options()], capture_output=True, text=True, check=True)
    second = parse(answer.stdout)
    assert differences(comparable(rendered(case)), comparable(second)) == []
    secrets = [[item.body["data"] for item in objects if item.name.endswith("-webui-secrets")] for objects in (rendered(case), second)]
    assert secrets[0] != secrets[1]


READS_UPGRADE = re.compile(r"\.Release\.(IsUpgrade|IsInstall|Revision)\b")


def test_no_template_reads_whether_this_is_an_upgrade() -> None:
    assert [str(path) for path in (CHART / "templates").rglob("*") if path.is_file() and READS_UPGRADE.search(path.read_text())] == []


@pytest.mark.charts
def test_no_template_of_the_upstream_charts_reads_it() -> None:
    """The templates of the two charts themselves; their own dependencies are disabled."""
    for archive in archives.resolve(download=False):
        with tarfile.open(archive.path) as tar:
            own = [member for member in tar if member.isfile() and member.name.startswith(f"{archive.name}/templates/")]
            assert own
            texts = {member.name: file.read().decode() for member in own if (file := tar.extractfile(member))}
            assert [name for name, text in texts.items() if READS_UPGRADE.search(text)] == []
