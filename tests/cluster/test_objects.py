"""Proves: a real API server accepts every object of every scenario, by a dry run of server-side apply with strict fields.

It does not prove that pods run.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_helm_charts.k8s.fixtures import NamespaceFactoryFunc
from scout_chat.chart.recorded import chart_for
from scout_chat.chart.render import Case, Object, render
from scout_chat.chart.scenarios import scenarios
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject

# Kinds whose CRDs belong to another project.
ELSEWHERE = {"ServiceMonitor"}


@pytest.fixture(scope="module")
def kubectl(provider: Provider, namespace_factory: NamespaceFactoryFunc) -> Iterator[Kubectl]:
    """kubectl in the namespace that the scenarios name, beside the PriorityClass that a site brings."""
    namespace_factory("chat")
    client = Kubectl(provider.kubeconfig(), "chat")
    client.run("delete", "priorityclass", "services", "--ignore-not-found")
    client.run("create", "priorityclass", "services", "--value=1000")
    yield client
    client.run("delete", "priorityclass", "services")


@pytest.fixture(params=scenarios())
def case(request: pytest.FixtureRequest) -> Case:
    name: str = request.param
    return scenarios()[name]


def dry_run(kubectl: Kubectl, objects: list[Object], folder: Path) -> str:
    """Return kubectl's line for each object that the API server accepts. Raises UserError with the server's message."""
    (folder / "list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item.body for item in objects]}))
    return kubectl.run("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(folder / "list.json"))


def test_the_api_server_accepts_every_object(case: Case, kubectl: Kubectl, tmp_path: Path) -> None:
    with chart_for(case) as chart:
        objects = [item for item in render(case, chart) if item.kind not in ELSEWHERE]
    assert len(dry_run(kubectl, objects, tmp_path).splitlines()) == len(objects)


def test_a_wrong_object_is_refused(kubectl: Kubectl, tmp_path: Path) -> None:
    """Planted: an unknown field, a variable that is set twice, an invalid name."""
    case = scenarios()["local"]
    with chart_for(case) as chart:
        (chat,) = [item for item in render(case, chart) if item.kind == "Deployment" and item.name.endswith("-open-webui")]
    plants: list[tuple[Callable[[KubeObject], object], str]] = [
        (lambda body: body["spec"].update(replica=1), "replica"),
        (lambda body: body["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "ENABLE_OLLAMA_API", "value": "x"}), "duplicate"),
        (lambda body: body["metadata"].update(name="Chat"), "RFC 1123"),
    ]
    for plant, complaint in plants:
        body = json.loads(json.dumps(chat.body))
        plant(body)
        with pytest.raises(UserError, match=complaint):
            dry_run(kubectl, [Object(chat.chart, body)], tmp_path)
