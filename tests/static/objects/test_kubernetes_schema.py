"""Proves: every object fits the schema of its kind in every supported Kubernetes minor; an unknown field or kind is an error.

It does not prove what admission adds: defaults, quotas, webhooks, and validation that a schema cannot express.
"""

from collections.abc import Iterator

import pytest
from scout_chat.chart import kubernetes
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario

from tests.support.object_index import Manifests
from tests.support.renders import rendered
from tests.support.rules import DROP, HOSPITAL, MAIN, NEW, WEBUI, Defect, Found, Rule, assert_found, assert_holds, judge, new, plant, service_monitor


def schema(manifests: Manifests) -> Iterator[Found]:
    """Use Kubernetes' own schemas, and for custom resources the CRDs of the release."""
    crds = [item.body for item in manifests.of("CustomResourceDefinition")]
    for item in manifests.objects:
        if kubernetes.from_archive(item.body):
            continue  # archived_schema checks these
        try:
            yield from ((item, problem) for problem in kubernetes.validate(item.body, manifests.case.kubernetes, crds))
        except kubernetes.NoSchema as error:
            yield item, str(error)


def archived_schema(manifests: Manifests) -> Iterator[Found]:
    """Use the CRDs of the Prometheus operator, which only the vllm-stack archive contains."""
    for item in manifests.objects:
        if kubernetes.from_archive(item.body):
            yield from ((item, problem) for problem in kubernetes.validate(item.body, manifests.case.kubernetes))


SCHEMA = Rule("schema", schema, by_minor=True)
ARCHIVED_SCHEMA = Rule("archived-schema", archived_schema, by_minor=True, needs_charts=True)

DEFECTS: list[Defect] = [
    (WEBUI, "spec strategi", {}, "$.spec: Additional properties are not allowed ('strategi' was unexpected)"),
    (WEBUI, f"{MAIN} ports 0 containerPort", "http", '$.spec.template.spec.containers[0].ports[0].containerPort: "http" is not of type'),
    (WEBUI, "spec selector", DROP, '"selector" is a required property'),
    ("Secret/chat-secrets", "data", {"key": "not base64"}, "$.data.key"),
    ("ConfigMap/*-test-chat", "metadata annotations", {"a": 1}, "$.metadata.annotations.a: 1 is not of type"),
    (NEW, "", new("ray.io/v1", "RayCluster", spec={}), "no schema is known for ray.io/v1 RayCluster"),
    (NEW, "", new("apps.example.org/v1", "Deployment", spec={}), "no schema is known for apps.example.org/v1 Deployment"),
    (NEW, "", new("policy/v1beta1", "PodDisruptionBudget", spec={}), "no schema is known for policy/v1beta1"),
    (NEW, "", new("production-stack.vllm.ai/v1alpha1", "LoraAdapter", spec={"baseModel": "m", "x": 1}), "('x' was unexpected)"),
]
ARCHIVED_DEFECTS: list[Defect] = [
    (NEW, "", service_monitor({"port": "http", "intervall": "5s"}), "$.spec.endpoints[0]: Additional properties are not allowed ('intervall'"),
]


def test_every_object_fits_the_schema_of_its_kind(case: Case) -> None:
    assert_holds(SCHEMA, case)


def test_planted_schema_defects_are_found() -> None:
    assert_found(SCHEMA, DEFECTS)


@pytest.mark.charts
def test_every_monitor_fits_the_schema_of_the_prometheus_operator(case: Case) -> None:
    assert_holds(ARCHIVED_SCHEMA, case)


@pytest.mark.charts
def test_planted_defects_of_a_monitor_are_found() -> None:
    assert_found(ARCHIVED_SCHEMA, ARCHIVED_DEFECTS)


@pytest.mark.charts
def test_a_monitor_without_a_fault_is_accepted() -> None:
    case = scenario(HOSPITAL)
    planted = plant(rendered(case), NEW, "", service_monitor({"port": "http", "interval": "30s"}))
    assert judge(ARCHIVED_SCHEMA, Manifests(case, planted)) == []
