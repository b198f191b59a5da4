"""Proves: what Open WebUI is told about the model is what the engines serve: name, API key and tool calls; or one external endpoint.

It does not prove that the model answers; tests/cluster does for the local preset.
"""

import json
from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, render
from scout_chat.chart.scenarios import scenario

from tests.support.objects import argument, component, engines, main, of, pods, webui_environment, webui_settings
from tests.support.renders import rendered


def test_both_sides_read_the_engines_key_from_one_secret(engine_case: Case) -> None:
    objects = rendered(engine_case)
    keys = set()
    for container in map(main, component(objects, "serving-engine")):
        keys |= {json.dumps(entry["valueFrom"]) for entry in container["env"] if entry["name"] == "VLLM_API_KEY"}
    if not keys:
        assert "llm-key" not in webui_environment(objects)["OPENAI_API_KEY"]
        return
    (key,) = keys
    reference = json.loads(key)["secretKeyRef"]
    assert webui_environment(objects)["OPENAI_API_KEY"] == f"{reference['name']}/{reference['key']}"


def test_the_served_model_name_is_the_default_and_the_task_model(engine_case: Case) -> None:
    objects = rendered(engine_case)
    served = {argument(main(pod), "--served-model-name") for pod in component(objects, "serving-engine")}
    values = webui_environment(objects)
    assert values["DEFAULT_MODELS"] == values["TASK_MODEL_EXTERNAL"]
    assert values["DEFAULT_MODELS"] in served
    assert len(served) == (2 if engine_case.name.startswith("two-models") else 1)


def test_tools_are_offered_exactly_where_the_engine_parses_tool_calls(engine_case: Case) -> None:
    objects = rendered(engine_case)
    parses = all("--enable-auto-tool-choice" in main(each["spec"]["template"])["command"] for each in engines(objects))
    assert (json.loads(webui_settings(objects)["DEFAULT_MODEL_PARAMS"])["function_calling"] == "native") == parses


def test_with_an_external_endpoint_open_webui_runs_alone() -> None:
    objects = rendered(scenario("external"))
    assert {body["metadata"]["name"] for body in of(objects, "Deployment")} == {"chat-open-webui"}
    assert webui_settings(objects)["OPENAI_API_BASE_URLS"] == "http://llm.example.org/v1"


@pytest.mark.charts
def test_the_mode_or_the_router_alone_switches_off_what_it_replaces() -> None:
    """Without vllm-stack.enabled: false the upstream chart leaves an empty Secret and its CRD, and no pod."""
    endpoint = {"global": {"llm": {"mode": "external", "url": "http://llm.example.org/v1", "model": "m"}}}
    objects = render(Case("endpoint", extra=json.dumps(endpoint)))
    assert set(pods(objects)) == {"chat-open-webui", "chat-test-chat"}
    assert {item.kind for item in objects if item.chart == "vllm-stack"} <= {"CustomResourceDefinition", "Secret"}
    other = replace(Case("router", ("gpt-oss",)), sets=("global.llm.router=vllm-router", "vllmRouter.image.repository=mine/vllm-router"))
    assert "chat-deployment-router" not in pods(render(other))


def test_users_reach_every_model_unless_administrators_grant_them() -> None:
    assert webui_settings(rendered(scenario("local")))["BYPASS_MODEL_ACCESS_CONTROL"] == "True"
    by_grant = replace(scenario("local"), sets=("global.chat.modelAccess=by-grant",))
    assert webui_settings(rendered(by_grant))["BYPASS_MODEL_ACCESS_CONTROL"] == "False"
