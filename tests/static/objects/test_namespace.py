"""Proves: every object is in the namespace of the release, and an object that no namespace can hold names none."""

import re
from collections.abc import Iterator

from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import WEBUI, Defect, Found, Rule, assert_found, assert_holds

CLUSTER_WIDE = re.compile(
    "ClusterRole|ClusterRoleBinding|CustomResourceDefinition|Namespace|PersistentVolume|(Priority|Runtime|Storage|Ingress)Class"
    "|(Validating|Mutating)(WebhookConfiguration|AdmissionPolicy|AdmissionPolicyBinding)"
)


def namespace(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.objects:
        said, wide = item.body["metadata"].get("namespace"), CLUSTER_WIDE.fullmatch(item.kind)
        if wide and said:
            yield item, f"metadata.namespace is {said}, and no namespace holds a {item.kind}"
        elif not wide and said not in (None, manifests.case.namespace):
            yield item, f"metadata.namespace is {said}, and the release is in {manifests.case.namespace}"


NAMESPACE = Rule("namespace", namespace)

DEFECTS: list[Defect] = [
    (WEBUI, "metadata namespace", "default", "metadata.namespace is default, and the release is in chat"),
    ("CustomResourceDefinition/*", "metadata namespace", "chat", "no namespace holds a CustomResourceDefinition"),
]


def test_every_object_is_in_the_namespace_of_the_release(case: Case) -> None:
    assert_holds(NAMESPACE, case)


def test_planted_defects_are_found() -> None:
    assert_found(NAMESPACE, DEFECTS)
