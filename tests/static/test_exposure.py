"""Proves: every way to reach Open WebUI or an engine from outside the cluster is encrypted, allowed explicitly, or refused.

docs/start/expose.md has the same table. It does not prove that an ingress controller or a firewall behaves so.
"""

from dataclasses import replace

import pytest
from scout_chat.chart.render import RenderError, render

from tests.support.renders import values_case

pytestmark = pytest.mark.charts


TLS = "global.chat.url=https://chat.example.org"
HTTP = "global.chat.url=http://chat.example.org"
ALLOWED = "global.chat.auth.allowHttp=true"
OBJECT = "vllm-stack.extraObjects[0]"
CHAT_OBJECT = "open-webui.extraResources[0]"


def ingress(at: str) -> tuple[str, ...]:
    """Return the arguments of --set for an Ingress at a path of the values."""
    return (f"{at}.apiVersion=networking.k8s.io/v1", f"{at}.kind=Ingress", f"{at}.metadata.name=x")


def load_balancer(at: str) -> tuple[str, ...]:
    """Return the arguments of --set for a Service of type LoadBalancer at a path of the values."""
    return (f"{at}.apiVersion=v1", f"{at}.kind=Service", f"{at}.metadata.name=x", f"{at}.spec.type=LoadBalancer")


ROUTE = "open-webui.route.parentRefs[0].name=gateway"
# Values that expose Open WebUI or an engine, and the message that refuses them; empty if they install. docs/start/expose.md has this table.
EXPOSED: list[tuple[tuple[str, ...], str]] = [
    *[(("open-webui.service.type=ClusterIP", *url), "") for url in ((), (HTTP,), (TLS,))],
    *[((f"open-webui.service.type={kind}",), "global.chat.url is empty") for kind in ("NodePort", "LoadBalancer")],
    *[((f"open-webui.service.type={kind}", HTTP), "unencrypted") for kind in ("NodePort", "LoadBalancer")],
    *[((f"open-webui.service.type={kind}", TLS), "") for kind in ("NodePort", "LoadBalancer")],
    *[((f"open-webui.service.type={kind}", HTTP, ALLOWED), "") for kind in ("NodePort", "LoadBalancer")],
    (("open-webui.ingress.enabled=true", "open-webui.ingress.host=chat.example.org"), "global.chat.url is empty"),
    (("open-webui.ingress.enabled=true", "open-webui.ingress.host=chat.example.org", HTTP), "unencrypted"),
    (("open-webui.ingress.enabled=true", "open-webui.ingress.host=chat.example.org", "open-webui.ingress.tls=true", TLS), ""),
    (("open-webui.route.enabled=true", ROUTE), "global.chat.url is empty"),
    (("open-webui.route.enabled=true", ROUTE, HTTP), "unencrypted"),
    (("open-webui.route.enabled=true", ROUTE, TLS), ""),
    *[(item(CHAT_OBJECT), "global.chat.url is empty") for item in (ingress, load_balancer)],
    *[((*item(CHAT_OBJECT), HTTP), "unencrypted") for item in (ingress, load_balancer)],
    ((*ingress(CHAT_OBJECT), TLS), ""),
    (("vllm-stack.routerSpec.serviceType=NodePort",), "exposes the model to everybody"),
    (("vllm-stack.routerSpec.serviceType=LoadBalancer",), "exposes the model to everybody"),
    (("vllm-stack.routerSpec.ingress.enabled=true",), "must stay off"),
    (("vllm-stack.routerSpec.route.main.enabled=true",), "must stay off"),
    *[((*item(OBJECT), TLS), "would expose the model") for item in (ingress, load_balancer)],
    # An engine's Service has no key that could expose it.
    (("vllm-stack.servingEngineSpec.modelSpec[0].serviceType=NodePort",), "additional properties 'serviceType' not allowed"),
]


@pytest.mark.parametrize(("sets", "said"), EXPOSED, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_an_exposed_service_is_encrypted_allowed_or_refused(sets: tuple[str, ...], said: str) -> None:
    each = replace(values_case("gpt-oss"), sets=sets)
    if said:
        with pytest.raises(RenderError, match=said):
            render(each)
        return
    services = {item.name: item.body["spec"].get("type", "ClusterIP") for item in render(each) if item.kind == "Service"}
    assert {kind for name, kind in services.items() if name != "chat-open-webui"} == {"ClusterIP"}
