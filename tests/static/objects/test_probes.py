"""Proves: every container that runs as long as its pod has a startup, a readiness and a liveness probe, and each named port exists.

It does not prove that a probe's path answers; the cluster tests do.
"""

from collections.abc import Iterator

from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import DROP, ENGINE, MAIN, POD, ROUTER, WEBUI, Defect, Found, Rule, assert_found, assert_holds

KINDS = ("startupProbe", "readinessProbe", "livenessProbe")


def probes(manifests: Manifests) -> Iterator[Found]:
    for pod in manifests.pods:
        for name, part in pod.long_running:
            for probe in KINDS:
                if probe not in part:
                    yield pod.owner, f"{name} has no {probe}"
        for name, part in pod.containers:
            ports = [entry.get("name") for entry in part.get("ports") or []]
            for probe in KINDS:
                for action in ("httpGet", "tcpSocket"):
                    port = ((part.get(probe) or {}).get(action) or {}).get("port")
                    if isinstance(port, str) and port not in ports:
                        yield pod.owner, f"{name}: {probe} uses port {port}, which the container does not name"


PROBES = Rule("probes", probes)

DEFECTS: list[Defect] = [
    (WEBUI, f"{MAIN} readinessProbe", DROP, "container open-webui has no readinessProbe"),
    (ENGINE, f"{MAIN} livenessProbe", DROP, "container vllm has no livenessProbe"),
    (ROUTER, f"{MAIN} startupProbe", DROP, "container router-container has no startupProbe"),
    (WEBUI, f"{POD} initContainers 0 restartPolicy", "Always", "init container copy-app-data has no startupProbe"),
    (WEBUI, f"{MAIN} livenessProbe httpGet port", "web", "livenessProbe uses port web, which the container does not name"),
    (WEBUI, f"{MAIN} livenessProbe", {"tcpSocket": {"port": "web"}}, "livenessProbe uses port web"),
]


def test_every_long_running_container_has_all_three_probes(case: Case) -> None:
    assert_holds(PROBES, case)


def test_planted_defects_are_found() -> None:
    assert_found(PROBES, DEFECTS)
