"""Proves: every scenario renders the same objects with Helm 3 and Helm 4, and for every supported Kubernetes minor.

It does not prove that both install the same; tests/cluster/test_kept.py and test_settings.py do for single values.
"""

from dataclasses import replace

import pytest
from scout_chat.chart.render import Case
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.pins import pins

from tests.support.renders import rendered


def comparable(case: Case) -> dict[tuple[str, str, str], KubeObject]:
    """Return the objects by chart, kind and name, without the random values of Secrets."""
    objects = {(item.chart, item.kind, item.name): item.body for item in rendered(case)}
    return {key: body | {"data": sorted(body.get("data") or {})} if key[1] == "Secret" else body for key, body in objects.items()}


@pytest.mark.charts
def test_helm_3_and_helm_4_render_equal_objects(case: Case) -> None:
    assert comparable(case) == comparable(replace(case, helm="helm3"))


@pytest.mark.charts
def test_no_object_depends_on_the_minor_of_kubernetes(case: Case) -> None:
    for minor in pins().kubernetes[1:]:
        assert comparable(case) == comparable(replace(case, kubernetes=minor)), minor
