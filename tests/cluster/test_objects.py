"""Proves: a real API server takes every object of every scenario, by server-side apply and with strict fields, without creating any.

It does not prove that pods run; the other files do for the local preset.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenarios
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.errors import UserError

# Kinds whose CRDs are another project's.
ELSEWHERE = {"ServiceMonitor"}


@pytest.fixture(scope="module")
def kubectl(provider: Provider) -> Iterator[Kubectl]:
    client = Kubectl(provider.kubeconfig(), "chat")
    client.run("create", "namespace", "chat")
    # The site's own, which the scenarios of a site name.
    client.run("create", "priorityclass", "services", "--value=1000")
    yield client
    client.run("delete", "priorityclass", "services")
    client.run("delete", "namespace", "chat", "--wait=true")


@pytest.fixture(params=scenarios())
def case(request: pytest.FixtureRequest) -> Case:
    return scenarios()[request.param]


def dry_run(kubectl: Kubectl, objects: list[Object], folder: Path) -> str:
    (folder / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item.body for item in objects]}))
    return kubectl.run("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(folder / "list.json"))


def test_the_api_server_takes_every_object(case: Case, kubectl: Kubectl, tmp_path: Path) -> None:
    with chart_for(case) as chart:
        objects = [item for item in render(case, chart) if item.kind not in ELSEWHERE]
    assert len(dry_run(kubectl, objects, tmp_path).splitlines()) == len(objects)


def test_what_it_would_refuse_is_refused_here(kubectl: Kubectl, tmp_path: Path) -> None:
    """Planted: an unknown field, a variable that stands twice, a name that is none."""
    case = scenarios()["local"]
    with chart_for(case) as chart:
        (chat,) = [item for item in render(case, chart) if item.kind == "Deployment" and item.name.endswith("-open-webui")]
    for plant, complaint in (
        (lambda body: body["spec"].update(replica=1), "replica"),
        (lambda body: body["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "ENABLE_OLLAMA_API", "value": "x"}), "duplicate"),
        (lambda body: body["metadata"].update(name="Chat"), "RFC 1123"),
    ):
        body = json.loads(json.dumps(chat.body))
        plant(body)
        with pytest.raises(UserError, match=complaint):
            dry_run(kubectl, [Object(chat.chart, body)], tmp_path)
