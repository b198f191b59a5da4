"""Proves: what ``engine`` and ``engines`` say reaches the engines, and one engine's own setting wins; with both Helms.

That each key changes some object is the subject of test_values_coverage.py.
"""

from dataclasses import replace

import pytest
from scout_chat.chart.render import render
from scout_chat.chart.scenarios import scenario

from tests.support.objects import argument, engine_container, pods
from tests.support.renders import rendered, values_case

pytestmark = pytest.mark.charts


def test_a_setting_of_one_engine_overrides_that_of_all_engines(helm: str) -> None:
    objects = render(replace(scenario("two-models-engines"), helm=helm))
    large, small = engine_container(objects, "gpt-oss-120b"), engine_container(objects, "qwen36-27b")
    assert (argument(large, "--max-num-seqs"), argument(small, "--max-num-seqs")) == ("2", "4")
    assert (argument(large, "--max-model-len"), argument(small, "--max-model-len")) == ("16384", "32768")
    replicas = {item.name: item.body["spec"]["replicas"] for item in objects if item.name.endswith("-deployment-vllm")}
    assert replicas == {"chat-gpt-oss-120b-deployment-vllm": 1, "chat-qwen36-27b-deployment-vllm": 2}


@pytest.mark.parametrize("nothing", [None, []])
def test_null_or_an_empty_list_removes_the_node_terms(helm: str, nothing: list[object] | None) -> None:
    objects = render(replace(values_case("gpt-oss", engine={"nodeSelectorTerms": nothing}), helm=helm))
    assert "affinity" not in pods(objects)["chat-gpt-oss-120b-deployment-vllm"]["spec"]
    assert "affinity" in pods(rendered(scenario("gpt-oss")))["chat-gpt-oss-120b-deployment-vllm"]["spec"]
