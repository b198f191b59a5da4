"""Proves what must not change when something else does: version, order, names, a second render, an upgrade; and that a switch takes its part alone."""

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
from scout_chat.core.paths import CHART, PRESETS
from scout_chat.core.tools import tool

from tests.static.conftest import rendered


def comparable(objects: Iterable[Object]) -> dict[str, dict]:
    """Kind/name to object; the hash of the environment and what is made at random are tokens."""
    text = re.sub(r"(-webui-env-)[0-9a-f]{10}\b", r"\1<hash>", json.dumps([item.body for item in objects]))
    found = {f"{body['kind']}/{body['metadata']['name']}": body for body in json.loads(text)}
    return {name: body | {"data": sorted(body["data"])} if name.endswith("-webui-secrets") else body for name, body in found.items()}


def leaves(node: object, path: str = "") -> dict[str, object]:
    """Every value by its path; a list's items by their names, with the order of these as one more value, or as one value whole."""
    if isinstance(node, list) and node and all(isinstance(item, dict) and "name" in item for item in node):
        return {path: [item["name"] for item in node]} | leaves({item["name"]: item for item in node}, path)
    if isinstance(node, dict) and node:
        return {name: value for key, child in node.items() for name, value in leaves(child, f"{path}.{key}" if path else key).items()}
    return {path: node}


def differences(before: dict[str, dict], after: dict[str, dict]) -> list[str]:
    """``- Kind/name`` for what went, ``+`` for what came, ``~ Kind/name path`` for a value that is another."""
    lines = [f"- {name}" for name in before.keys() - after.keys()] + [f"+ {name}" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        old, new = leaves(before[name]), leaves(after[name])
        lines += [f"~ {name} {path}" for path in old.keys() | new.keys() if old.get(path) != new.get(path) or path not in old or path not in new]
    return sorted(lines)


@pytest.mark.charts
def test_a_new_version_of_the_chart_restarts_nothing(tmp_path: Path) -> None:
    """Nothing but the label that names the version differs: pod templates and selectors are as they were."""
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
# Scenario, what is switched, and all that may and must differ.
SWITCHES = [
    ("gpt-oss-compatibility", "compatibility.enabled=false", ["- Service/vllm-router"]),
    ("gpt-oss-hospital", "networkPolicy.enabled=false", ["- NetworkPolicy/*"]),
    # The upstream chart repeats the address in the pod's own environment if there is an Ingress.
    ("gpt-oss-hospital", "open-webui.ingress.enabled=false", ["- Ingress/chat-open-webui", f"{MAIN}.env", f"{MAIN}.env.WEBUI_URL.*"]),
    ("external-replicas", "open-webui.persistence.enabled=false", ["- PersistentVolumeClaim/chat-open-webui", f"{POD}.volumes.data.*"]),
]


def unexpected(lines: list[str], expected: list[str]) -> list[str]:
    """Lines that no glob expects, and globs that no line meets."""
    strange = [line for line in lines if not any(fnmatchcase(line, glob) for glob in expected)]
    return strange + [f"nothing is {glob}" for glob in expected if not any(fnmatchcase(line, glob) for line in lines)]


@pytest.mark.parametrize(
    ("name", "switch", "expected"),
    [pytest.param(*row, marks=pytest.mark.charts) if row[1].startswith("open-webui") else row for row in SWITCHES],
    ids=[f"{row[0]} {row[1]}" for row in SWITCHES],
)
def test_a_switch_takes_its_part_alone(name: str, switch: str, expected: list[str]) -> None:
    case = scenario(name)
    lines = differences(comparable(rendered(case)), comparable(rendered(replace(case, sets=(switch,)))))
    assert unexpected(lines, expected) == []


@pytest.mark.charts
def test_one_router_goes_where_the_other_comes() -> None:
    """Of all that stays, only the Service of that name changes: labels, whom it selects, and its second port."""
    lines = differences(comparable(rendered(scenario("gpt-oss"))), comparable(rendered(scenario("gpt-oss-vllm-router"))))
    gone = ["Deployment/chat-deployment-router", "ServiceAccount/chat-router-service-account", "Role/chat-reader", "RoleBinding/chat-deployment-access-binding"]
    come = [f"{kind}/chat-vllm-router" for kind in ("Deployment", "ServiceAccount", "Role", "RoleBinding")]
    service = [f"~ Service/chat-router-service {path}" for path in ("metadata.labels.*", "spec.selector.*", "spec.ports*", "spec.type")]
    assert unexpected(lines, [*(f"- {name}" for name in gone), *(f"+ {name}" for name in come), *service]) == []


def test_a_difference_is_seen() -> None:
    before = {"A/a": {"x": {"y": 1}, "l": [{"name": "p"}, {"name": "q"}]}, "B/b": {}}
    after = {"A/a": {"x": {"y": 2}, "l": [{"name": "q"}, {"name": "p"}], "z": None}, "C/c": {}}
    lines = differences(before, after)
    assert lines == ["+ C/c", "- B/b", "~ A/a l", "~ A/a x.y", "~ A/a z"]
    assert unexpected(lines, ["+ C/*", "- B/b", "~ A/a [lx]*"]) == ["~ A/a z"]
    assert unexpected(lines, ["* *", "- D/d"]) == ["nothing is - D/d"]


@pytest.mark.charts
@pytest.mark.parametrize("preset", ["gpt-oss", "local"])
def test_the_order_of_overlays_does_not_matter(preset: str) -> None:
    """Of those that set no value of another's."""
    overlays = {f"overlays/{file.stem}": leaves(kubeyaml.load(file.read_text())) for file in sorted((PRESETS / "overlays").glob("*.yaml"))}
    touching = {name for one, other in combinations(overlays, 2) if overlays[one].keys() & overlays[other].keys() for name in (one, other)}
    independent = [name for name in overlays if name not in touching]
    assert len(independent) >= 4, f"these set one value: {touching}"
    case = Case("overlays", (preset, *independent))
    assert differences(comparable(rendered(case)), comparable(rendered(replace(case, values=(preset, *reversed(independent)))))) == []


@pytest.mark.charts
def test_release_and_namespace_change_nothing_but_themselves() -> None:
    """Put back into their places, every object is as it was."""
    others = {case: replace(case, release="zz-other", namespace="yy-elsewhere") for case in scenarios().values()}
    render_all(others.values())
    for case, other in others.items():
        body = json.dumps([item.body for item in render(other)]).replace("zz-other", case.release).replace("yy-elsewhere", case.namespace)
        assert differences(comparable(rendered(case)), comparable(Object("", item) for item in json.loads(body))) == [], case.name


def test_a_second_render_even_as_an_upgrade_is_the_first_but_for_what_is_random() -> None:
    """One scenario; that it speaks for all in the matter of upgrades is the next tests' to prove."""
    case = scenario("local-network-policy")
    with chart_for(case) as chart:
        command = [tool(case.helm), "template", case.release, str(chart), "-n", case.namespace, "--include-crds", "--is-upgrade"]
        answer = subprocess.run([*command, "--kube-version", case.kubernetes, *case.options()], capture_output=True, text=True, check=True)
    second = parse(answer.stdout)
    assert differences(comparable(rendered(case)), comparable(second)) == []
    secrets = [[item.body["data"] for item in objects if item.name.endswith("-webui-secrets")] for objects in (rendered(case), second)]
    assert secrets[0] != secrets[1]


ASKS = re.compile(r"\.Release\.(IsUpgrade|IsInstall|Revision)\b")


def test_no_template_asks_whether_this_is_an_upgrade() -> None:
    assert [str(path) for path in (CHART / "templates").rglob("*") if path.is_file() and ASKS.search(path.read_text())] == []


@pytest.mark.charts
def test_no_template_of_the_upstream_charts_asks_either() -> None:
    """Those charts' own templates; their dependencies are switched off."""
    for archive in archives.resolve(download=False):
        with tarfile.open(archive.path) as tar:
            own = [member for member in tar if member.isfile() and member.name.startswith(f"{archive.name}/templates/")]
            assert own
            assert [member.name for member in own if ASKS.search(tar.extractfile(member).read().decode())] == []
