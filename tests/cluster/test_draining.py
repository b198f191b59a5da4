"""Proves: an answer arrives whole although the pod of its engine, or of the vLLM project's router, is deleted in the middle.

The pod in its place answers the next question.

Does not prove: anything of production-stack's router (its image is in no package registry), of answers that outlast a grace period, or of
the loss of a node.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace

import kubernetes
import pytest
from scout_chat.chart.render import Case
from scout_chat.chat import quickstart, readiness
from scout_chat.chat.open_webui import WebUI
from scout_chat.chat.turn import Answer
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider

from tests.support.releases import installed, pods_of, signed_in, with_sets

Api = kubernetes.client.CoreV1Api
NAMESPACE = "draining"

# The answer takes a quarter of a minute on two cores, longer than the preStop hook of the router.
STORY = "Tell me a long story about a fox."
TOKENS = 400
# Seconds of the answer that the engine has left when it is deleted. They must fit its --shutdown-timeout of 25 seconds while the next pod
# starts on the same cores and slows it down.
SECONDS_LEFT = 5

ENGINE = ("serving-engine", "vllm", "[shutdown] API server: shutdown triggered")
ROUTER = ("router", "router", "Received terminate signal")


class Deletion:
    """Deletes the pod of a component after ``after`` pieces of an answer, as an eviction or a rollout does.

    ``pieces_after_signal`` counts the pieces that came after the pod's own log told of SIGTERM.
    """

    def __init__(self, api: Api, kubectl: Kubectl, component: tuple[str, str, str], after: int) -> None:
        label, self._container, self._sign = component
        self._api, self._after = api, after
        (self.pod,) = pods_of(kubectl, label)
        self._signalled = threading.Event()
        self._pieces = self.pieces_after_signal = 0
        threading.Thread(target=self._follow_log, daemon=True).start()

    def piece(self, _text: str) -> None:
        self._pieces += 1
        self.pieces_after_signal += self._signalled.is_set()
        if self._pieces == self._after:
            self._api.delete_namespaced_pod(self.pod, NAMESPACE)

    def _follow_log(self) -> None:
        """Set ``_signalled`` when the log tells of SIGTERM. Ends with the container."""
        lines = kubernetes.watch.Watch().stream(self._api.read_namespaced_pod_log, name=self.pod, namespace=NAMESPACE, container=self._container)
        if any(self._sign in line for line in lines):
            self._signalled.set()


@pytest.fixture(scope="module")
def release(local: Case, namespace: Kubectl, provider: Provider) -> Iterator[Case]:
    """Decoding is greedy and on one thread: the same question has the same answer, and the limit gives it its length."""
    case = replace(with_sets(local, f"global.llm.parameters.max_tokens={TOKENS}"), namespace=NAMESPACE)
    with installed(case, provider):
        yield case


@pytest.fixture(scope="module")
def account(release: Case, provider: Provider) -> quickstart.Account:
    return quickstart.account(provider, release)


@pytest.fixture(scope="module")
def person(account: quickstart.Account) -> WebUI:
    return signed_in(account)


@pytest.fixture(autouse=True)
def settled(person: WebUI, account: quickstart.Account, release: Case, namespace: Kubectl) -> None:
    """The pods that replace deleted ones are ready, even after a test that failed."""
    wait_until_it_serves(person, account, release, namespace)


@pytest.fixture(scope="module")
def undisturbed(person: WebUI, account: quickstart.Account) -> Answer:
    answer = person.chat(STORY, account.model)
    assert answer.seconds > 2 * SECONDS_LEFT
    return answer


def test_an_engine_that_is_deleted_finishes_its_answer(
    person: WebUI, account: quickstart.Account, undisturbed: Answer, release: Case, namespace: Kubectl, api: Api
) -> None:
    deletion = Deletion(api, namespace, ENGINE, after=int(undisturbed.events * (1 - SECONDS_LEFT / undisturbed.seconds)))
    answer = person.chat(STORY, account.model, on_text=deletion.piece)
    assert deletion.pieces_after_signal
    assert answer.text == undisturbed.text
    wait_until_it_serves(person, account, release, namespace)
    assert "Paris" in person.chat(quickstart.QUESTION, account.model).text


def test_a_router_that_is_deleted_forwards_the_whole_answer(
    person: WebUI, account: quickstart.Account, undisturbed: Answer, release: Case, namespace: Kubectl, api: Api
) -> None:
    deletion = Deletion(api, namespace, ROUTER, after=1)
    answer = person.chat(STORY, account.model, on_text=deletion.piece)
    assert deletion.pieces_after_signal
    assert answer.text == undisturbed.text
    wait_until_it_serves(person, account, release, namespace)
    assert "Paris" in person.chat(quickstart.QUESTION, account.model).text


def wait_until_it_serves(person: WebUI, account: quickstart.Account, release: Case, kubectl: Kubectl) -> None:
    """Wait for the release's pods and for the model in the chat's list."""
    readiness.wait_for_pods(kubectl, release, print)
    readiness.wait_for_model(person, account.model)
