"""Proves: a workload that an autoscaler scales does not set ``spec.replicas``.

With both, each upgrade resets the number of replicas, and server-side apply reports a conflict.
"""

from collections.abc import Iterator

from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import NEW, Defect, Found, Rule, assert_found, assert_holds, autoscaler, new


def replicas(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = item.body["spec"]["scaleTargetRef"]
        for scaled in manifests.of(target.get("kind", "Deployment")):
            if scaled.name == target["name"] and "replicas" in scaled.body["spec"]:
                yield scaled, f"spec.replicas is set, and {item.kind}/{item.name} scales it"


REPLICAS = Rule("replicas", replicas)

DEFECTS: list[Defect] = [
    (NEW, "", autoscaler("chat-open-webui"), "spec.replicas is set, and HorizontalPodAutoscaler/planted scales it"),
    (NEW, "", new("keda.sh/v1alpha1", "ScaledObject", spec={"scaleTargetRef": {"name": "chat-deployment-router"}}), "ScaledObject/planted"),
]


def test_no_autoscaled_workload_sets_its_replicas(case: Case) -> None:
    assert_holds(REPLICAS, case)


def test_planted_defects_are_found() -> None:
    assert_found(REPLICAS, DEFECTS)
