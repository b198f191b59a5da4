"""Proves, with Helm 3 and two engines: a chat stays on its engine, and calls without a chat spread over the engines by user.

Does not prove a gain in speed: the two engines share the machine's cores.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import kubernetes
import pytest
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.chat import quickstart
from scout_chat.chat.open_webui import WebUI
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider

from tests.support.releases import installed, pods_of, signed_in

Api = kubernetes.client.CoreV1Api
NAMESPACE = "affinity"


@pytest.fixture(scope="module")
def two_engines(local: Case, namespace: Kubectl, provider: Provider) -> Iterator[Case]:
    """The release. Its router logs the key that it hashes."""
    debug = ("vllmRouter.extraArgs[0]=--log-level", "vllmRouter.extraArgs[1]=debug", "global.chat.tasks.title=false")
    case = replace(scenario("local-two-engines"), sets=(*local.sets, *debug), helm="helm3", namespace=NAMESPACE)
    with installed(case, provider):
        yield case


@pytest.fixture(scope="module")
def account(two_engines: Case, provider: Provider) -> quickstart.Account:
    return quickstart.account(provider, two_engines)


@pytest.fixture(scope="module")
def engines(two_engines: Case, namespace: Kubectl) -> list[str]:
    pods = pods_of(namespace, "serving-engine")
    assert len(pods) == 2
    return pods


@pytest.fixture(scope="module")
def administrator(account: quickstart.Account) -> WebUI:
    return signed_in(account)


class Requests:
    """Tells which engines have finished requests since the last look, by their own counters."""

    def __init__(self, api: Api, engines: list[str]) -> None:
        self._api, self._engines = api, engines
        self._before = self._finished()

    def new(self) -> set[str]:
        """Return the engines that have finished a request since the last call."""
        now = self._finished()
        engines = {name for name in now if now[name] > self._before[name]}
        self._before = now
        return engines

    def _finished(self) -> dict[str, int]:
        counts = {}
        for name in self._engines:
            metrics: str = self._api.connect_get_namespaced_pod_proxy_with_path(f"{name}:8000", NAMESPACE, "metrics")
            counts[name] = sum(int(float(value)) for value in re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", metrics, re.MULTILINE))
        return counts


def test_all_turns_of_a_chat_are_answered_by_one_engine(
    administrator: WebUI, account: quickstart.Account, engines: list[str], namespace: Kubectl, api: Api
) -> None:
    """And chats use both engines: new chats are begun until they do. Thirty on one engine would be chance at one in half a billion."""
    requests = Requests(api, engines)
    seen: set[str] = set()
    chats: list[str] = []
    while len(chats) < 4 or (seen != set(engines) and len(chats) < 30):
        answer = administrator.chat("Name a river in Europe.", account.model)
        first = requests.new()
        answer = administrator.chat("And another.", account.model, answer.chat)
        second = requests.new()
        administrator.chat("Which is longer?", account.model, answer.chat)
        assert first == second == requests.new() and len(first) == 1
        seen |= first
        chats.append(answer.chat_id)
        print(f"chat {answer.chat_id}: three turns by {first.pop()}")
    assert seen == set(engines)
    assert router_keys(api, namespace) >= set(chats)


def router_keys(api: Api, kubectl: Kubectl) -> set[str]:
    """Return the chat ids that the router read from x-session-id, according to its log."""
    (router,) = pods_of(kubectl, "router")
    log = api.read_namespaced_pod_log(router, NAMESPACE)
    return set(re.findall(r"session key in header 'x-session-id': ([0-9a-f-]{36})/[0-9a-f-]{36}", log))


def test_calls_without_a_chat_spread_over_users(administrator: WebUI, account: quickstart.Account, engines: list[str], api: Api) -> None:
    """One user's calls go to one engine, and different users' to different ones. An empty header would send all calls to one engine."""
    requests = Requests(api, engines)
    seen: dict[str, str] = {}
    for number in range(20):
        email = f"program-{number}@example.org"
        administrator.add_user(email, email, "a-programs-password")
        user = WebUI(account.url)
        user.sign_in(email, "a-programs-password")
        answered: set[str] = set()
        for _ in range(2):
            user.complete("Say hi.", account.model)
            answered |= requests.new()
        assert len(answered) == 1
        seen[email] = answered.pop()
        if set(seen.values()) == set(engines):
            break
    print(seen)
    assert set(seen.values()) == set(engines)
