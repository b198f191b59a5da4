"""Proves: no setting of Open WebUI names an address outside the cluster, except the user's own.

It does not prove what the program connects to; tests/cluster and the NetworkPolicies do.
"""

from scout_chat.chart.render import Case

from tests.support.objects import webui_settings
from tests.support.renders import rendered

# In the cluster, or the pod's own discard port.
INSIDE = ("http://127.0.0.1:9", "http://chat-router-service.chat.svc/v1", "http://llm.models.svc/v1")
# What the scenarios configure: an endpoint, the chat's own address, identity providers, a proxy.
CONFIGURED = (
    "http://llm.example.org/v1",
    "https://chat.example.org",
    "https://chat.apps.example.org",
    "https://keycloak.example.org/realms/hospital/",
    "https://id.example.org/realms/hospital/",
    "http://localhost:",
    "http://proxy.example.org:3128",
)


def test_every_address_is_in_the_cluster_or_the_users_own(case: Case) -> None:
    for name, value in webui_settings(rendered(case)).items():
        if "://" in value:
            assert value in INSIDE or value.startswith(CONFIGURED), f"{name}: {value}"


def test_administrators_have_no_way_into_other_peoples_chats(case: Case) -> None:
    """Each is on by default in Open WebUI. Analytics give an administrator every user's messages, also where chats and exports are off."""
    settings = webui_settings(rendered(case))
    assert {settings[f"ENABLE_ADMIN_{way}"] for way in ("ANALYTICS", "CHAT_ACCESS", "EXPORT")} == {"False"}
