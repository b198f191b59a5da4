"""Proves, on real pods: Helm 4 installs the local preset; people sign in and chat; a setting changes; what is kept, and taken over again.

Does not prove: anything about a GPU, or about the original weights (here they are converted from a 4-bit file).
"""

import json
import shutil
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
from scout_chat.cluster.one_node.kubelet import tag_images
from scout_chat.cluster.provider import Provider
from scout_chat.core.paths import PRESETS
from scout_chat.planning import calibration

from tests.cluster.conftest import deploy, forwarded, signed_in, with_sets

USER = ("reader@example.org", "a-readers-password")


@pytest.fixture(scope="module")
def notes(local: Case, provider: Provider) -> str:
    """The release, installed and ready; Helm's output."""
    return deploy(local, provider)


@pytest.fixture(scope="module")
def account(notes: str, provider: Provider) -> quickstart.Account:
    return quickstart.account(provider)


@pytest.fixture(scope="module")
def administrator(account: quickstart.Account) -> WebUI:
    return signed_in(account)


def test_every_deployment_runs(notes: str, local: Case, kube_cluster: Cluster) -> None:
    names = [f"{local.release}-{name}" for name in ("open-webui", "vllm-router", "smollm2-135m-deployment-vllm")]
    wait_for_deployments_to_run(kube_cluster.kube_client, names, local.namespace, timeout_sec=60)


def test_the_notes_name_the_next_steps_and_no_secret(notes: str, account: quickstart.Account) -> None:
    for step in ("wait deployment", f"helm test {'chat'}", account.url):
        assert step in notes
    assert account.password not in notes


def test_the_administrator_gets_the_right_answer(account: quickstart.Account) -> None:
    """As ``make chat`` asks it: signed in, over the socket, streamed."""
    answer = quickstart.ask(account, quickstart.QUESTION)
    assert "Paris" in answer.text
    assert answer.events > 1


def test_the_engine_has_the_cache_that_the_preset_says(notes: str, local: Case, provider: Provider) -> None:
    """`scout-chat calibrate`, on the running engine: every figure is the planner's."""
    with forwarded(provider, local.namespace, f"{local.release}-smollm2-135m-deployment-vllm") as url:
        engine = calibration.read(url)
    figures = calibration.comparison(engine, calibration.plan_request(engine, device="cpu"))
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
    # What else so small a model knows depends on the processor's arithmetic.
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


def test_helm_test_asks_through_the_whole_path(notes: str, local: Case, provider: Provider) -> None:
    log = install.test(local, provider.kubeconfig())
    assert "PASSED" in log and "Paris" in log


def test_helm_test_survives_a_changed_password(account: quickstart.Account, administrator: WebUI, local: Case, provider: Provider) -> None:
    """It cannot sign in any more, so it asks the model at the chat's address, and says so."""
    administrator.change_password(account.email, account.password, "another-password")
    try:
        log = install.test(local, provider.kubeconfig())
    finally:
        administrator.change_password(account.email, "another-password", account.password)
    assert "password was changed in the chat" in log and "PASSED" in log


def test_a_changed_setting_takes_effect_and_keeps_accounts_and_sessions(
    account: quickstart.Account, administrator: WebUI, local: Case, provider: Provider, api: kubernetes.client.CoreV1Api
) -> None:
    """New pods run; the created Secret is the same, so who is signed in stays signed in."""
    before = api.read_namespaced_secret("chat-webui-secrets", local.namespace).data
    pods = {pod.metadata.name for pod in webui_pods(api, local)}
    deploy(with_sets(local, "global.chat.name=Ward 3"), provider)
    assert administrator.config()["name"] == "Ward 3 (Open WebUI)"
    assert not pods & {pod.metadata.name for pod in webui_pods(api, local)}
    assert api.read_namespaced_secret("chat-webui-secrets", local.namespace).data == before
    assert administrator.models() == [account.model]
    assert quickstart.account(provider) == account


def webui_pods(api: kubernetes.client.CoreV1Api, case: Case) -> list:
    return api.list_namespaced_pod(case.namespace, label_selector="app.kubernetes.io/component=open-webui").items


def test_uninstall_keeps_what_people_wrote_their_password_and_the_weights(
    account: quickstart.Account, administrator: WebUI, local: Case, provider: Provider, api: kubernetes.client.CoreV1Api
) -> None:
    """And nothing else. A test's ConfigMap and pod are hooks, which Helm does not uninstall."""
    administrator.chat("What is the capital of Norway?", account.model)
    install.uninstall(local, provider.kubeconfig())
    namespaced = (api.list_namespaced_persistent_volume_claim, api.list_namespaced_secret, api.list_namespaced_service, api.list_namespaced_config_map)
    kept = {f"{listing.__name__.rpartition('_')[2]}/{item.metadata.name}" for listing in namespaced for item in listing(local.namespace).items}
    assert kept - {"map/kube-root-ca.crt", "map/chat-test-chat"} == {
        "claim/chat-open-webui",
        "claim/chat-smollm2-135m-storage-claim",
        "secret/chat-webui-secrets",
    }
    deployments = kubernetes.client.AppsV1Api().list_namespaced_deployment(local.namespace).items
    roles = kubernetes.client.RbacAuthorizationV1Api().list_namespaced_role(local.namespace).items
    assert not deployments and not roles


# A small file of one's own, over values/local.yaml.
REGISTRY = "registry.example.org/mirror"
MINE = {"global": {"imageRegistry": REGISTRY}, "engine": {"maxModelLen": 2048}}


@pytest.mark.usefixtures("one_node")
def test_installing_again_takes_everything_over_with_other_settings(
    account: quickstart.Account, local: Case, provider: Provider, api: kubernetes.client.CoreV1Api
) -> None:
    """The same password opens the same conversations; images come from the site's registry, and the running engine has the context that was asked for."""
    tag_images(REGISTRY)
    case = replace(local, extra=json.dumps(MINE))
    try:
        deploy(case, provider)
        assert quickstart.account(provider) == account
        ui = WebUI(account.url).sign_in(account.email, account.password)
        assert [question for question in ui.questions() if "Norway" in question]
        with forwarded(provider, local.namespace, f"{local.release}-smollm2-135m-deployment-vllm") as url:
            assert [model["max_model_len"] for model in httpx.get(f"{url}/v1/models").json()["data"]] == [2048]
        # The pod of a helm test is nobody's: it stays as it ended.
        pods = [pod for pod in api.list_namespaced_pod(local.namespace).items if pod.metadata.owner_references]
        images = {part.image for pod in pods for part in pod.spec.containers}
        assert images and all(image.startswith(f"{REGISTRY}/") for image in images)
    finally:
        install.uninstall(case, provider.kubeconfig())
