"""Proves: an answer arrives whole although the pod of its engine, or of the vLLM project's router, is deleted in the middle.

The pod in its place answers the next question. Installs the local preset as release ``chat`` in namespace ``chat``, over what earlier
releases kept there, and removes it.

Does not prove: production-stack's router (its image is in no package registry); answers that outlast a grace period; the loss of a node.
"""

import threading
from collections.abc import Iterator

import kubernetes
import pytest
from scout_chat.chart.render import Case
from scout_chat.chat import install, quickstart, readiness
from scout_chat.chat.open_webui import WebUI
from scout_chat.chat.turn import Answer
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider

from tests.cluster.conftest import deploy, signed_in, with_sets

Api = kubernetes.client.CoreV1Api

# A quarter of a minute on two cores: longer than the preStop of the router.
STORY = "Tell me a long story about a fox."
TOKENS = 400
# What the engine still has to say has to fit its --shutdown-timeout, while the pod in its place starts on the same cores.
LEFT_TO_THE_ENGINE = 100

ENGINE = ("serving-engine", "vllm", "[shutdown] API server: shutdown triggered")
ROUTER = ("router", "router", "Received terminate signal")


class Deletion:
    """Deletes the pod of a component once ``after`` pieces of an answer have come, as an eviction or a rollout does.

    ``pieces_after_signal`` counts what came when the pod's own log had told of its SIGTERM.
    """

    def __init__(self, api: Api, namespace: str, component: tuple[str, str, str], after: int) -> None:
        label, self._container, self._sign = component
        self._api, self._namespace, self._after = api, namespace, after
        pods = api.list_namespaced_pod(namespace, label_selector=f"app.kubernetes.io/component={label}").items
        (self.pod,) = [pod.metadata.name for pod in pods if not pod.metadata.deletion_timestamp]
        self._signalled = threading.Event()
        self._pieces = self.pieces_after_signal = 0
        threading.Thread(target=self._follow_log, daemon=True).start()

    def piece(self, _text: str) -> None:
        self._pieces += 1
        self.pieces_after_signal += self._signalled.is_set()
        if self._pieces == self._after:
            self._api.delete_namespaced_pod(self.pod, self._namespace)

    def _follow_log(self) -> None:
        """Ends with the container."""
        lines = kubernetes.watch.Watch().stream(self._api.read_namespaced_pod_log, name=self.pod, namespace=self._namespace, container=self._container)
        if any(self._sign in line for line in lines):
            self._signalled.set()


@pytest.fixture(scope="module")
def release(local: Case, provider: Provider) -> Iterator[Case]:
    """Greedy decoding on one thread: the same question has the same answer, and the limit gives it its length."""
    case = with_sets(local, f"global.llm.parameters.max_tokens={TOKENS}")
    deploy(case, provider)
    yield case
    install.uninstall(case, provider.kubeconfig())


@pytest.fixture(scope="module")
def account(release: Case, provider: Provider) -> quickstart.Account:
    return quickstart.account(provider)


@pytest.fixture(scope="module")
def person(account: quickstart.Account) -> WebUI:
    return signed_in(account)


@pytest.fixture(autouse=True)
def settled(person: WebUI, account: quickstart.Account, release: Case, provider: Provider) -> None:
    """Pods in the place of the deleted ones are ready, also after a test that failed half-way."""
    wait_until_it_serves(person, account, release, provider)


@pytest.fixture(scope="module")
def undisturbed(person: WebUI, account: quickstart.Account) -> Answer:
    answer = person.chat(STORY, account.model)
    assert answer.events > LEFT_TO_THE_ENGINE
    return answer


def test_an_engine_that_is_deleted_finishes_its_answer(
    person: WebUI, account: quickstart.Account, undisturbed: Answer, release: Case, api: Api, provider: Provider
) -> None:
    deletion = Deletion(api, release.namespace, ENGINE, after=undisturbed.events - LEFT_TO_THE_ENGINE)
    answer = person.chat(STORY, account.model, on_text=deletion.piece)
    assert deletion.pieces_after_signal
    assert answer.text == undisturbed.text
    wait_until_it_serves(person, account, release, provider)
    assert "Paris" in person.chat(quickstart.QUESTION, account.model).text


def test_a_router_that_is_deleted_hands_the_answer_on_to_its_end(
    person: WebUI, account: quickstart.Account, undisturbed: Answer, release: Case, api: Api, provider: Provider
) -> None:
    deletion = Deletion(api, release.namespace, ROUTER, after=1)
    answer = person.chat(STORY, account.model, on_text=deletion.piece)
    assert deletion.pieces_after_signal
    assert answer.text == undisturbed.text
    wait_until_it_serves(person, account, release, provider)
    assert "Paris" in person.chat(quickstart.QUESTION, account.model).text


def wait_until_it_serves(person: WebUI, account: quickstart.Account, release: Case, provider: Provider) -> None:
    readiness.wait_for_pods(Kubectl(provider.kubeconfig(), release.namespace), release, print)
    readiness.wait_for_model(person, account.model)
