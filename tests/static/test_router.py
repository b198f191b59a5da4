"""Proves: Open WebUI calls the router's Service, the router finds the engines of this release alone, and a chat stays on one engine.

It does not prove that the programs behave so; tests/cluster does for the local preset.
"""

import json

import pytest
from scout_chat.chart.render import Case
from scout_chat.core.kubeyaml import KubeObject

from tests.support.objects import argument, component, main, of, pods, webui_environment, webui_settings
from tests.support.renders import rendered
from tests.support.variants import elsewhere, longest


def test_open_webui_calls_the_routers_service_at_its_port_and_path(engine_case: Case) -> None:
    objects = rendered(engine_case)
    (service,) = [body for body in of(objects, "Service") if body["metadata"]["name"] == f"{engine_case.release}-router-service"]
    (port,) = [port for port in service["spec"]["ports"] if port["port"] == 80]
    assert webui_environment(objects)["OPENAI_API_BASE_URLS"] == f"http://{service['metadata']['name']}.{engine_case.namespace}.svc/v1"
    (router,) = [pod for pod in pods(objects).values() if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
    ports = {entry["name"]: entry["containerPort"] for entry in main(router)["ports"]}
    assert argument(main(router), "--port") == str(ports[port["targetPort"]] if isinstance(port["targetPort"], str) else port["targetPort"])


def selector_of(router: KubeObject, release: str) -> dict[str, str]:
    """Return the labels by which the router finds engines, for either of the two routers."""
    container = main(router)
    if "--k8s-label-selector" in container["args"]:
        (variable,) = [entry for entry in container["env"] if entry["name"] == "HELM_RELEASE"]
        field = variable["valueFrom"]["fieldRef"]["fieldPath"]
        value = router["metadata"]["labels"][field.removeprefix("metadata.labels['").removesuffix("']")]
        pairs = [argument(container, "--k8s-label-selector").replace("$(HELM_RELEASE)", value)]
    else:
        start = container["args"].index("--selector") + 1
        pairs = [word for word in container["args"][start:] if "=" in word][:2]
    return dict(pair.split("=") for pair in pairs)


@pytest.mark.charts
def test_the_router_finds_the_engines_of_this_release_and_no_others(engine_case: Case) -> None:
    """Other releases of the same values: their pods are not selected, even if the release name begins with the same word."""
    objects = rendered(engine_case)
    (router,) = component(objects, "router")
    selector = selector_of(router, engine_case.release)
    own = [pod["metadata"]["labels"] for pod in component(objects, "serving-engine")]
    assert own and all(selector.items() <= labels.items() for labels in own)
    others = [pod for variant in (elsewhere, longest) for pod in pods(rendered(variant(engine_case))).values()]
    assert not [labels for pod in others if selector.items() <= (labels := pod["metadata"]["labels"]).items()]
    # Nor does it select Open WebUI, the test or the router itself.
    rest = [pod["metadata"]["labels"] for pod in pods(objects).values() if pod["metadata"]["labels"] not in own]
    assert not [labels for labels in rest if selector.items() <= labels.items()]


def test_the_header_that_open_webui_sends_is_the_routers_session_key(engine_case: Case) -> None:
    objects = rendered(engine_case)
    ((header, value),) = json.loads(webui_environment(objects)["OPENAI_API_CONFIGS"])["0"]["headers"].items()
    assert value == "{{CHAT_ID}}/{{USER_ID}}"
    (router,) = component(objects, "router")
    if "--routing-logic" in main(router)["args"]:
        assert argument(main(router), "--routing-logic") == "session"
        assert argument(main(router), "--session-key") == header
    else:
        # vllm-router's consistent hash reads this header; its name is fixed.
        assert (argument(main(router), "--policy"), header) == ("consistent_hash", "x-session-id")


def test_the_session_header_has_random_ids_and_nothing_personal(engine_case: Case) -> None:
    """It is never empty: routers would send every call without a chat to one engine."""
    settings = webui_settings(rendered(engine_case))
    assert json.loads(settings["OPENAI_API_CONFIGS"])["0"]["headers"] == {"x-session-id": "{{CHAT_ID}}/{{USER_ID}}"}
    assert "ENABLE_FORWARD_USER_INFO_HEADERS" not in settings
