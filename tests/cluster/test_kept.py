"""Proves, with Helm 4 and Helm 3: no Helm command loses what people wrote. Uninstall, a failed install that is rolled back, and a change of
the preset keep the PVCs and the Secret. The next install uses them again. One documented command deletes them.

The chat runs without an engine, and the engines of GPU presets stay Pending. Does not prove: a backup, or the loss of a volume.
"""

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, RenderError
from scout_chat.chart.scenarios import scenario
from scout_chat.chat import install, readiness
from scout_chat.chat.open_webui import WebUI
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.paths import CHART, PRESETS, ROOT

from tests.support.releases import deploy, forwarded, own_namespace

# The first three tests follow one release through its life, with each Helm.
pytestmark = [pytest.mark.charts, pytest.mark.random_order(disabled=True)]

ROLL_BACK = {"helm": "--rollback-on-failure", "helm3": "--atomic"}
# The command of docs/operate/upgrade.md and of the notes.
DELETE = ("delete", "pvc,secret", "-l", "app.kubernetes.io/instance=chat")


@pytest.fixture(scope="module", params=["helm", "helm3"])
def case(request: pytest.FixtureRequest) -> Case:
    return replace(scenario("external"), namespace=f"kept-{request.param}", helm=request.param)


@pytest.fixture(scope="module")
def kubectl(case: Case, provider: Provider) -> Iterator[Kubectl]:
    with own_namespace(provider, case.namespace) as client:
        yield client


def password(kubectl: Kubectl) -> str:
    return base64.b64decode(kubectl.get("secret", "chat-webui-secrets")["data"]["admin-password"]).decode()


def kept(kubectl: Kubectl) -> list[str]:
    """Return the release's objects, of every kind that the chart renders, as kind/name."""
    kinds = "deployment,statefulset,service,serviceaccount,configmap,secret,pvc,role,rolebinding,networkpolicy,ingress"
    return sorted(kubectl.run("get", kinds, "-l", "app.kubernetes.io/instance=chat", "-o", "name").split())


# An image that the node does not have and does not pull. Helm gives up after the timeout.
MISSING = ("--set", "open-webui.image.tag=0.0.0,open-webui.image.pullPolicy=Never", "--wait", "--timeout", "8s")
EVERYTHING = ["persistentvolumeclaim/chat-open-webui", "secret/chat-webui-secrets"]


def test_a_conversation_is_found_again_after_uninstall_and_a_failed_install(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    """Install, chat, uninstall, fail to install with a rollback, and install: the same password opens the old conversation."""
    deploy(case, provider)
    first = password(kubectl)
    with forwarded(provider, case.namespace, "chat-open-webui", 8080) as url:
        WebUI(url).sign_in("admin@example.org", first).write("Is anything lost?")

    install.uninstall(case, provider.kubeconfig())
    assert kept(kubectl) == EVERYTHING

    command = ["install", "chat", str(CHART), "--namespace", case.namespace, *case.options(), *MISSING]
    with pytest.raises(RenderError):
        install.helm(*command, ROLL_BACK[case.helm], kubeconfig=provider.kubeconfig(), version=case.helm)
    assert kept(kubectl) == EVERYTHING

    deploy(case, provider)
    assert password(kubectl) == first
    with forwarded(provider, case.namespace, "chat-open-webui", 8080) as url:
        assert WebUI(url).sign_in("admin@example.org", first).questions() == ["Is anything lost?"]


def test_a_failed_upgrade_that_is_rolled_back_keeps_them_too(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    before = {name: kubectl.get(*name.split("/"))["metadata"]["uid"] for name in EVERYTHING}
    command = ["upgrade", "chat", str(CHART), "--namespace", case.namespace, *case.options(), *MISSING]
    with pytest.raises(RenderError):
        install.helm(*command, ROLL_BACK[case.helm], kubeconfig=provider.kubeconfig(), version=case.helm)
    assert {name: kubectl.get(*name.split("/"))["metadata"]["uid"] for name in EVERYTHING} == before
    readiness.wait_for_pods(kubectl, case, print)


def test_the_documented_command_deletes_everything(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    install.uninstall(case, provider.kubeconfig())
    kubectl.run(*DELETE)
    assert kept(kubectl) == []


GPT_OSS = [str(path.relative_to(PRESETS).with_suffix("")) for path in sorted(PRESETS.rglob("*.yaml")) if "name: gpt-oss-120b" in path.read_text()]


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_change_of_preset_keeps_every_volume(helm: str, provider: Provider) -> None:
    """Upgrades through every shipped values file of one model, forth and back. The API server would refuse a PVC that shrinks."""
    assert len(GPT_OSS) >= 9
    with own_namespace(provider, f"presets-{helm}") as kubectl:
        for preset in (*GPT_OSS, *reversed(GPT_OSS)):
            # This test needs no pod of the chat.
            case = Case(preset, (preset,), sets=("open-webui.replicaCount=0",), namespace=f"presets-{helm}", helm=helm)
            install.install(case, provider.kubeconfig())
            claims = {item["metadata"]["name"]: item for item in kubectl.objects("pvc", "app.kubernetes.io/instance=chat")}
            assert {"chat-open-webui", "chat-gpt-oss-120b-storage-claim"} <= claims.keys(), preset
            assert not [name for name, claim in claims.items() if "deletionTimestamp" in claim["metadata"]]


def test_the_command_that_deletes_everything_is_in_the_documents() -> None:
    for path in (CHART / "templates/NOTES.txt", ROOT / "README.md", ROOT / "docs/operate/upgrade.md"):
        text = path.read_text()
        assert " ".join(DELETE).rpartition("=")[0] in text
