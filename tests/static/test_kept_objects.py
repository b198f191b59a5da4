"""Proves: Helm keeps the weights and the conversations on uninstall, whatever else the values say of their PVCs; with both Helms.

tests/cluster/test_kept.py uninstalls for real.
"""

from dataclasses import replace

import pytest
from scout_chat.chart.render import render

from tests.support.renders import values_case

pytestmark = pytest.mark.charts


def test_the_pvc_of_the_weights_is_kept_even_if_the_entry_lacks_the_annotation() -> None:
    """An entry without pvcAnnotations, and a volume that ``engine.pvcStorage`` creates."""
    for each in (
        replace(values_case("gpt-oss"), json=("vllm-stack.servingEngineSpec.modelSpec[0].pvcAnnotations={}",)),
        values_case("variants/gpt-oss-nfs", engine={"pvcStorage": "10Gi"}),
    ):
        (claim,) = [item.body for item in render(each) if item.kind == "PersistentVolumeClaim" and item.name.endswith("-storage-claim")]
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_pvc_of_the_conversations_is_kept_whatever_its_annotations(helm: str) -> None:
    for annotations in (None, {"backup.example.org/daily": "yes"}):
        chat = {"persistence": {"annotations": annotations}}
        (claim,) = [item.body for item in render(replace(values_case("external", **{"open-webui": chat}), helm=helm)) if item.kind == "PersistentVolumeClaim"]
        assert claim["metadata"]["annotations"] == (annotations or {}) | {"helm.sh/resource-policy": "keep"}
