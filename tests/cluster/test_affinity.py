"""Proves, with Helm 3 and two engines over the kept weights: a chat stays on its engine, and calls without a chat spread.

Does not prove a gain in speed: the two engines share the machine's cores.
"""

import re
from dataclasses import replace

import kubernetes
import pytest
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.chat import install, quickstart
from scout_chat.chat.open_webui import WebUI
from scout_chat.cluster.provider import Provider

from tests.cluster.conftest import deploy, signed_in

Api = kubernetes.client.CoreV1Api


@pytest.fixture(scope="module")
def two_engines(local: Case) -> Case:
    """The router logs the key that it hashes."""
    debug = ("vllmRouter.extraArgs[0]=--log-level", "vllmRouter.extraArgs[1]=debug", "global.chat.tasks.title=false")
    return replace(scenario("local-two-engines"), sets=(*local.sets, *debug), helm="helm3")


@pytest.fixture(scope="module")
def account(two_engines: Case, provider: Provider) -> quickstart.Account:
    deploy(two_engines, provider)
    return quickstart.account(provider)


@pytest.fixture(scope="module")
def engines(account: quickstart.Account, two_engines: Case, api: Api) -> list[str]:
    pods = api.list_namespaced_pod(two_engines.namespace, label_selector="app.kubernetes.io/component=serving-engine").items
    assert len(pods) == 2
    return [pod.metadata.name for pod in pods]


@pytest.fixture(scope="module")
def administrator(account: quickstart.Account) -> WebUI:
    return signed_in(account)


def answered(api: Api, namespace: str, engines: list[str]) -> dict[str, int]:
    """Engine to the requests that it has finished, by its own counter."""
    counts = {}
    for name in engines:
        metrics = api.connect_get_namespaced_pod_proxy_with_path(f"{name}:8000", namespace, "metrics")
        counts[name] = sum(int(float(value)) for value in re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", metrics, re.MULTILINE))
    return counts


class Watch:
    """Tells which engine answered what was asked since the last look."""

    def __init__(self, api: Api, case: Case, engines: list[str]) -> None:
        self._look = lambda: answered(api, case.namespace, engines)
        self._before = self._look()

    def who(self) -> set[str]:
        now = self._look()
        engines = {name for name in now if now[name] > self._before[name]}
        self._before = now
        return engines


def test_weights_are_not_fetched_again(account: quickstart.Account, engines: list[str], two_engines: Case, api: Api) -> None:
    """The claim that the first release left is taken over by name, weights and all."""
    for name in engines:
        log = api.read_namespaced_pod_log(name, two_engines.namespace, container="vllm")
        assert "copying from the node's store" not in log


def test_all_turns_of_a_chat_are_answered_by_one_engine(
    administrator: WebUI, account: quickstart.Account, engines: list[str], two_engines: Case, api: Api
) -> None:
    """And chats use both engines: new ones are begun until they do. Thirty on one side would be chance at one in half a billion."""
    watch, seen, chats = Watch(api, two_engines, engines), set(), []
    while len(chats) < 4 or (seen != set(engines) and len(chats) < 30):
        answer = administrator.chat("Name a river in Europe.", account.model)
        first = watch.who()
        answer = administrator.chat("And another.", account.model, answer.chat)
        second = watch.who()
        administrator.chat("Which is longer?", account.model, answer.chat)
        assert first == second == watch.who() and len(first) == 1
        seen |= first
        chats.append(answer.chat_id)
        print(f"chat {answer.chat_id}: three turns by {first.pop()}")
    assert seen == set(engines)
    assert router_keys(api, two_engines) >= set(chats)


def router_keys(api: Api, case: Case) -> set[str]:
    """Chat ids that the router read from x-session-id, as its log says."""
    (router,) = api.list_namespaced_pod(case.namespace, label_selector="app.kubernetes.io/component=router").items
    log = api.read_namespaced_pod_log(router.metadata.name, case.namespace)
    return set(re.findall(r"session key in header 'x-session-id': ([0-9a-f-]{36})/[0-9a-f-]{36}", log))


def test_calls_without_a_chat_spread_over_users(administrator: WebUI, account: quickstart.Account, engines: list[str], two_engines: Case, api: Api) -> None:
    """One user's calls stay together, different users' do not; an empty header would send all to one engine."""
    watch, seen = Watch(api, two_engines, engines), {}
    for number in range(20):
        email = f"program-{number}@example.org"
        administrator.add_user(email, email, "a-programs-password")
        user = WebUI(account.url)
        user.sign_in(email, "a-programs-password")
        engine = set()
        for _ in range(2):
            user.complete("Say hi.", account.model)
            engine |= watch.who()
        assert len(engine) == 1
        seen[email] = engine.pop()
        if set(seen.values()) == set(engines):
            break
    print(seen)
    assert set(seen.values()) == set(engines)


def test_helm_3_removes_it_again(account: quickstart.Account, two_engines: Case, provider: Provider, api: Api) -> None:
    install.uninstall(two_engines, provider.kubeconfig())
    assert not kubernetes.client.AppsV1Api().list_namespaced_deployment(two_engines.namespace).items
