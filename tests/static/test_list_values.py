"""Proves: a list of the user's does not remove what this chart puts into the same list, although Helm replaces lists; with both Helms."""

from dataclasses import replace

import pytest
from scout_chat.chart.render import render

from tests.support.objects import engine_container, pods, variables
from tests.support.renders import values_case

pytestmark = pytest.mark.charts


def test_a_list_of_the_users_keeps_the_entries_of_the_chart(helm: str) -> None:
    """Telemetry stays off, kernels stay cached, the router finds this release alone, Open WebUI keeps its settings and Secrets."""
    mine = [{"name": "MINE", "value": "yes"}]
    lists = {
        "vllm-stack": {"servingEngineSpec": {"env": mine}, "routerSpec": {"env": mine, "extraArgs": ["--log-stats"]}},
        "open-webui": {"commonEnvVars": mine, "extraEnvFrom": [{"secretRef": {"name": "mine"}}]},
    }
    objects = render(replace(values_case("gpt-oss", **lists), helm=helm))
    expected = {"MINE": "yes", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CACHE_ROOT": "/data/vllm"}
    assert variables(engine_container(objects)).items() >= expected.items()
    router = pods(objects)["chat-deployment-router"]["spec"]["containers"][0]
    assert "--log-stats" in router["args"] and router["args"][-2:] == ["--k8s-label-selector", "helm-release-name=$(HELM_RELEASE)"]
    assert {"MINE", "HELM_RELEASE"} <= variables(router).keys()
    chat = pods(objects)["chat-open-webui"]["spec"]["containers"][0]
    assert {"MINE", "WEBUI_SECRET_KEY", "WEBUI_ADMIN_PASSWORD", "OPENAI_API_KEY", "OAUTH_CLIENT_SECRET"} <= variables(chat).keys()
    assert [list(source) for source in chat["envFrom"]] == [["configMapRef"], ["secretRef"]]


def test_a_variable_of_the_users_overrides_the_charts_of_that_name() -> None:
    telemetry = [{"name": "DO_NOT_TRACK", "value": "0"}]
    container = engine_container(render(values_case("gpt-oss", engine={"env": telemetry})))
    assert [entry["value"] for entry in container["env"] if entry["name"] == "DO_NOT_TRACK"] == ["0"]
