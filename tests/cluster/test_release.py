"""Proves, on real pods: Helm 4 installs the local preset; people sign in and chat; a changed setting takes effect; uninstall keeps what
people wrote; Helm 3 takes everything over again, with other settings and without copying the weights.

Does not prove: anything about a GPU, or about the original weights (here they are converted from a 4-bit file).
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import kubernetes
import pytest
from pytest_helm_charts.clusters import Cluster
from pytest_helm_charts.k8s.deployment import wait_for_deployments_to_run
from scout_chat.chart.render import Case
from scout_chat.chat import install, quickstart
from scout_chat.chat.browser import screenshot_chat
from scout_chat.chat.open_webui import WebUI
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.one_node.kubelet import tag_images
from scout_chat.cluster.provider import Provider
from scout_chat.core.paths import PRESETS
from scout_chat.planning import calibration, engine_figures

from tests.support.releases import deploy, forwarded, installed, pods_of, signed_in, with_sets

# The tests follow one release through its life.
pytestmark = pytest.mark.random_order(disabled=True)

Api = kubernetes.client.CoreV1Api
USER = ("reader@example.org", "a-readers-password")
ENGINE = "smollm2-135m-deployment-vllm"


@pytest.fixture(scope="module")
def case(local: Case) -> Case:
    return replace(local, namespace="release")


@pytest.fixture(scope="module")
def notes(case: Case, namespace: Kubectl, provider: Provider) -> Iterator[str]:
    """The release, installed and ready; Helm's output."""
    with installed(case, provider) as output:
        yield output


@pytest.fixture(scope="module")
def account(notes: str, case: Case, provider: Provider) -> quickstart.Account:
    return quickstart.account(provider, case)


@pytest.fixture(scope="module")
def administrator(account: quickstart.Account) -> WebUI:
    return signed_in(account)


def test_every_deployment_runs(notes: str, case: Case, kube_cluster: Cluster) -> None:
    names = [f"{case.release}-{name}" for name in ("open-webui", "vllm-router", ENGINE)]
    wait_for_deployments_to_run(kube_cluster.kube_client, names, case.namespace, timeout_sec=60)


def test_the_notes_name_the_next_steps_and_no_secret(notes: str, account: quickstart.Account) -> None:
    for step in ("wait deployment", "helm test chat", account.url):
        assert step in notes
    assert account.password not in notes


def test_the_administrator_gets_the_right_answer(account: quickstart.Account) -> None:
    """As ``make chat`` asks it: signed in, over the socket, streamed."""
    answer = quickstart.ask(account, quickstart.QUESTION)
    assert "Paris" in answer.text
    assert answer.events > 1


def test_the_engine_has_the_cache_that_the_preset_says(notes: str, case: Case, provider: Provider) -> None:
    """`scout-chat calibrate`, on the running engine: every figure is the planner's."""
    with forwarded(provider, case.namespace, f"{case.release}-{ENGINE}") as url:
        engine = engine_figures.read(url)
    figures = calibration.figures(engine, calibration.plan_request(engine, device="cpu"))
    print(figures)
    assert [said for _, said, _ in figures] == [real for _, _, real in figures]
    assert f"{engine.num_blocks} blocks of {engine.block_size} tokens" in (PRESETS / "local.yaml").read_text()


def test_an_ordinary_user_sees_the_model_and_chats(account: quickstart.Account, administrator: WebUI) -> None:
    administrator.add_user("Reader", *USER)
    reader = WebUI(account.url)
    reader.sign_in(*USER)
    assert reader.models() == [account.model]
    first = reader.chat(quickstart.QUESTION, account.model)
    second = reader.chat("And how large is it?", account.model, first.chat)
    # Other facts that so small a model gives depend on the processor's arithmetic.
    assert "Paris" in first.text
    assert second.chat_id == first.chat_id and second.text


def test_a_program_gets_a_streamed_answer(account: quickstart.Account, administrator: WebUI) -> None:
    pieces = list(administrator.stream(quickstart.QUESTION, account.model))
    assert len(pieces) > 1 and "Paris" in "".join(pieces)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium (Debian's package chromium)")
def test_a_person_chats_in_a_browser(account: quickstart.Account, tmp_path: Path) -> None:
    """The real page in the real browser: sign-in form, input, streamed answer."""
    picture = tmp_path / "chat.png"
    assert "Paris" in screenshot_chat(account.url, account.email, account.password, quickstart.QUESTION, picture, "Paris")
    assert picture.stat().st_size > 10_000


def test_helm_test_asks_through_the_whole_path(notes: str, case: Case, provider: Provider) -> None:
    log = install.test(case, provider.kubeconfig())
    assert "PASSED" in log and "Paris" in log


def test_helm_test_survives_a_changed_password(account: quickstart.Account, administrator: WebUI, case: Case, provider: Provider) -> None:
    """It cannot sign in any more, so it asks the model at the chat's address, and says so."""
    administrator.change_password(account.email, account.password, "another-password")
    try:
        log = install.test(case, provider.kubeconfig())
    finally:
        administrator.change_password(account.email, "another-password", account.password)
    assert "password was changed in the chat" in log and "PASSED" in log


def test_a_changed_setting_takes_effect_and_keeps_accounts_and_sessions(
    account: quickstart.Account, administrator: WebUI, case: Case, namespace: Kubectl, provider: Provider
) -> None:
    """New pods run. The created Secret is the same, so people stay signed in."""
    before = namespace.get("secret", "chat-webui-secrets")["data"]
    pods = pods_of(namespace, "open-webui")
    deploy(with_sets(case, "global.chat.name=Ward 3"), provider)
    assert administrator.config()["name"] == "Ward 3 (Open WebUI)"
    assert not set(pods) & set(pods_of(namespace, "open-webui"))
    assert namespace.get("secret", "chat-webui-secrets")["data"] == before
    assert administrator.models() == [account.model]
    assert quickstart.account(provider, case) == account


def test_uninstall_keeps_what_people_wrote_their_password_and_the_weights(
    account: quickstart.Account, administrator: WebUI, case: Case, namespace: Kubectl, provider: Provider
) -> None:
    """And nothing else. The ConfigMap and the pod of a helm test are hooks, which Helm does not uninstall."""
    administrator.chat("What is the capital of Norway?", account.model)
    install.uninstall(case, provider.kubeconfig())
    kinds = "persistentvolumeclaim,secret,service,configmap,deployment,role"
    kept = set(namespace.run("get", kinds, "-o", "name").split())
    assert kept - {"configmap/kube-root-ca.crt", "configmap/chat-test-chat"} == {
        "persistentvolumeclaim/chat-open-webui",
        "persistentvolumeclaim/chat-smollm2-135m-storage-claim",
        "secret/chat-webui-secrets",
    }


# A small values file of a site, over values/local.yaml.
REGISTRY = "registry.example.org/mirror"
MINE = {"global": {"imageRegistry": REGISTRY}, "engine": {"maxModelLen": 2048}}


@pytest.mark.usefixtures("one_node")
def test_helm_3_takes_everything_over_with_other_settings_and_removes_it(
    account: quickstart.Account, case: Case, namespace: Kubectl, provider: Provider, api: Api
) -> None:
    """The same password opens the same conversations, and the engine finds the weights on its volume. Images come from the site's
    registry, and the running engine has the context of the site's file."""
    tag_images(REGISTRY)
    case = replace(case, extra=json.dumps(MINE), helm="helm3")
    with installed(case, provider):
        assert quickstart.account(provider, case) == account
        ui = WebUI(account.url).sign_in(account.email, account.password)
        assert [question for question in ui.questions() if "Norway" in question]
        (engine,) = pods_of(namespace, "serving-engine")
        assert "copying from the node's store" not in api.read_namespaced_pod_log(engine, case.namespace, container="vllm")
        with forwarded(provider, case.namespace, f"{case.release}-{ENGINE}") as url:
            assert [model["max_model_len"] for model in httpx.get(f"{url}/v1/models").json()["data"]] == [2048]
        # The pod of a helm test has no owner and is left as it ended.
        pods = [pod for pod in namespace.objects("pods", "") if "ownerReferences" in pod["metadata"]]
        images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
        assert images and all(image.startswith(f"{REGISTRY}/") for image in images)
    assert not namespace.objects("deployments", "")
