"""Proves: every container requests CPU and memory and has a memory limit, each request is within its limit, and GPUs are equal in both.

It does not prove that the amounts are enough.
"""

from collections.abc import Iterator

import pytest
from scout_chat.chart.render import Case
from scout_chat.review.tree import quantity

from tests.support.object_index import Manifests
from tests.support.rules import DROP, ENGINE, MAIN, TEST, Defect, Found, Rule, assert_found, assert_holds


def resources(manifests: Manifests) -> Iterator[Found]:
    for pod in manifests.pods:
        for name, part in pod.containers:
            requests, limits = ((part.get("resources") or {}).get(key) or {} for key in ("requests", "limits"))
            for key, unit, given in (("requests", "cpu", requests), ("requests", "memory", requests), ("limits", "memory", limits)):
                if unit not in given:
                    yield pod.owner, f"{name} has no resources.{key}.{unit}"
            amounts = {unit: (quantity(requests[unit]), quantity(limits[unit])) for unit in requests.keys() & limits.keys()}
            for unit, (request, limit) in sorted(amounts.items()):
                if request is None or limit is None:
                    yield pod.owner, f"{name}: resources: {requests[unit] if request is None else limits[unit]!r} is no quantity"
                elif request > limit:
                    yield pod.owner, f"{name}: resources.requests.{unit} is more than the limit"
            for unit in sorted(requests.keys() | limits.keys()):
                # Kubernetes does not overcommit extended resources such as nvidia.com/gpu.
                if "/" in unit and requests.get(unit, limits.get(unit)) != limits.get(unit):
                    yield pod.owner, f"{name}: resources: of {unit} request and limit must be equal"


RESOURCES = Rule("resources", resources)

DEFECTS: list[Defect] = [
    (ENGINE, f"{MAIN} resources requests cpu", DROP, "container vllm has no resources.requests.cpu"),
    (ENGINE, f"{MAIN} resources requests memory", DROP, "container vllm has no resources.requests.memory"),
    (ENGINE, f"{MAIN} resources limits memory", DROP, "container vllm has no resources.limits.memory"),
    (ENGINE, f"{MAIN} resources limits memory", "31Gi", "container vllm: resources.requests.memory is more than the limit"),
    (ENGINE, f"{MAIN} resources limits cpu", "7999m", "container vllm: resources.requests.cpu is more than the limit"),
    (ENGINE, f"{MAIN} resources limits memory", "64 Gi", "container vllm: resources: '64 Gi' is no quantity"),
    (ENGINE, f"{MAIN} resources limits nvidia.com/gpu", "2", "of nvidia.com/gpu request and limit must be equal"),
    (ENGINE, f"{MAIN} resources limits nvidia.com/gpu", DROP, "of nvidia.com/gpu request and limit must be equal"),
    (TEST, "spec containers 0 resources", DROP, "container chat has no resources.limits.memory"),
]


def test_every_container_has_requests_and_a_memory_limit(case: Case) -> None:
    assert_holds(RESOURCES, case)


def test_planted_defects_are_found() -> None:
    assert_found(RESOURCES, DEFECTS)


@pytest.mark.parametrize(("text", "amount"), [("250m", 0.25), ("1Gi", 2**30), ("2e3", 2000), ("1.5", 1.5), (2, 2), ("64k", 64e3), ("128974848000m", 128974848)])
def test_quantities_are_read_as_kubernetes_does(text: str | int, amount: float) -> None:
    assert quantity(text) == amount
