"""Proves: every object has the three standard labels, so ``kubectl get -l app.kubernetes.io/instance=RELEASE`` shows it."""

from collections.abc import Iterator

from scout_chat.chart.render import Case

from tests.support.object_index import Manifests
from tests.support.rules import DROP, POLICY, WEBUI, Defect, Found, Rule, assert_found, assert_holds

STANDARD = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by")


def labels(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.installed:
        own = item.body["metadata"].get("labels") or {}
        if missing := [label for label in STANDARD if not own.get(label)]:
            yield item, f"metadata.labels: no {', '.join(missing)}"
        elif own[STANDARD[1]] != manifests.case.release:
            yield item, f"metadata.labels: {STANDARD[1]} is {own[STANDARD[1]]}, and the release {manifests.case.release}"


LABELS = Rule("labels", labels)

DEFECTS: list[Defect] = [
    (WEBUI, "metadata labels", DROP, "metadata.labels: no app.kubernetes.io/name, app.kubernetes.io/instance, app.kubernetes.io/managed-by"),
    (POLICY, "metadata labels app.kubernetes.io/managed-by", "", "metadata.labels: no app.kubernetes.io/managed-by"),
    (POLICY, "metadata labels app.kubernetes.io/instance", "other", "app.kubernetes.io/instance is other, and the release chat"),
]


def test_every_object_has_the_standard_labels(case: Case) -> None:
    assert_holds(LABELS, case)


def test_planted_defects_are_found() -> None:
    assert_found(LABELS, DEFECTS)
