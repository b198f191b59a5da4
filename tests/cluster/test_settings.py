"""Proves, with Helm 4 and Helm 3 on a real API server: a setting that is passed to an upstream chart takes effect with each of Helm's
options for values, and Helm does not store the passed value. Mistakes that only the cluster shows (Secrets, volumes, selectors) are refused
with an explanation.

Does not prove: anything about pods. The chat has no replica, and the engine is for a GPU.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scout_chat.chart.render import Case, Object, RenderError, parse
from scout_chat.chat import install
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import CHART

from tests.support.releases import own_namespace

# All tests with one Helm share its release.
pytestmark = [pytest.mark.charts, pytest.mark.random_order(disabled=True)]
NONE = "open-webui.replicaCount=0"


@pytest.fixture(scope="module", params=["helm", "helm3"])
def helm(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def kubectl(helm: str, provider: Provider) -> Iterator[Kubectl]:
    with own_namespace(provider, f"settings-{helm}") as client:
        yield client


@pytest.fixture(scope="module")
def case(helm: str, kubectl: Kubectl, provider: Provider) -> Case:
    """An installed gpt-oss with a setting of each kind."""
    settings = ("engine.maxModelLen=2048", "global.imageRegistry=registry.example.org/mirror", NONE)
    case = Case("gpt-oss", ("gpt-oss",), sets=settings, namespace=f"settings-{helm}", helm=helm)
    install.install(case, provider.kubeconfig())
    return case


def upgraded(case: Case, provider: Provider, *options: str) -> list[Object]:
    """Return the objects of an upgrade, by a dry run on the server."""
    command = ["upgrade", case.release, str(CHART), "--namespace", case.namespace, "--dry-run=server", "--hide-notes", *options]
    manifest = install.helm(*command, kubeconfig=provider.kubeconfig(), version=case.helm).partition("MANIFEST:\n")[2]
    return parse(manifest)


def engine(objects: list[Object]) -> KubeObject:
    """Return the engine's container."""
    (found,) = [item.body for item in objects if item.name.endswith("-deployment-vllm")]
    container: KubeObject = found["spec"]["template"]["spec"]["containers"][0]
    return container


def context(container: KubeObject) -> str:
    """Return the container's --max-model-len."""
    command: list[str] = container["command"]
    return command[command.index("--max-model-len") + 1]


def test_reuse_values_keeps_a_setting(case: Case, provider: Provider) -> None:
    container = engine(upgraded(case, provider, "--reuse-values", "--set", "global.chat.name=Ward 3"))
    assert context(container) == "2048" and container["image"].startswith("registry.example.org/mirror/vllm/")


def test_reset_then_reuse_values_keeps_a_setting(case: Case, provider: Provider) -> None:
    container = engine(upgraded(case, provider, "--reset-then-reuse-values", "--set", "global.imageRegistry=other.example.org"))
    assert context(container) == "2048" and container["image"].startswith("other.example.org/vllm/")


def test_a_setting_that_is_left_out_is_gone(case: Case, provider: Provider) -> None:
    """The preset's value is back, because the passed value is not stored."""
    container = engine(upgraded(case, provider, "--reset-values", *replace(case, sets=(NONE,)).options()))
    assert context(container) == "32768" and container["image"].startswith("vllm/")


def test_what_is_stored_is_what_the_user_gave(case: Case, provider: Provider) -> None:
    values = json.loads(
        install.helm("get", "values", case.release, "-n", case.namespace, "-a", "-o", "json", kubeconfig=provider.kubeconfig(), version=case.helm)
    )
    assert "handedOn" not in json.dumps(values)
    entry = values["vllm-stack"]["servingEngineSpec"]["modelSpec"][0]
    assert entry["vllmConfig"]["maxModelLen"] == 32768 and entry["repository"] == "vllm/vllm-openai"


def refusal(case: Case, provider: Provider, *options: str) -> str:
    """Return the message of an upgrade that is refused."""
    with pytest.raises(RenderError) as refused:
        upgraded(case, provider, *case.options(), *options)
    return str(refused.value)


def secret(kubectl: Kubectl, name: str, **data: str) -> None:
    """Create the Secret, or replace it. An underscore in a key stands for a hyphen."""
    kubectl.run("delete", "secret", name, "--ignore-not-found")
    kubectl.run("create", "secret", "generic", name, *(f"--from-literal={key.replace('_', '-')}={value}" for key, value in data.items()))


def test_a_secret_with_an_empty_password_is_refused(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    """With it, the first visitor would become administrator."""
    secret(kubectl, "chat-admin", admin_password="")
    said = refusal(case, provider, "--set", "global.chat.auth.admin.existingSecret=chat-admin")
    assert f'Secret chat-admin in namespace {case.namespace} has no key "admin-password", or the key is empty, and the first visitor' in said
    secret(kubectl, "chat-admin", admin_password="secret")
    assert upgraded(case, provider, *case.options(), "--set", "global.chat.auth.admin.existingSecret=chat-admin")


def test_a_secret_without_its_key_is_refused(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    secret(kubectl, "chat-key", other="x")
    said = refusal(case, provider, "--set", "global.chat.secretKey.existingSecret=chat-key")
    assert "global.chat.secretKey.existingSecret: Secret chat-key in namespace" in said and 'has no key "secret-key"' in said


def test_a_secret_that_is_not_there_yet_may_come(case: Case, provider: Provider) -> None:
    assert upgraded(case, provider, *case.options(), "--set", "global.chat.secretKey.existingSecret=later")


def test_a_rotated_secret_restarts_the_pods_that_read_it(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    """At the next upgrade. Pods of other components stay."""

    def templates() -> dict[str, KubeObject]:
        objects = upgraded(case, provider, *case.options(), "--set", "global.chat.secretKey.existingSecret=chat-key")
        return {item.name: item.body["spec"]["template"] for item in objects if item.kind == "Deployment"}

    secret(kubectl, "chat-key", secret_key="first")
    first = templates()
    assert templates() == first
    kubectl.run("patch", "secret", "chat-key", "-p", json.dumps({"stringData": {"secret-key": "second"}}))
    second = templates()
    assert [name for name in first if first[name] != second[name]] == ["chat-open-webui"]
    # The pod's digest is salted. Otherwise people who can read pods could test passwords against it.
    secret(kubectl, "chat-key", secret_key="first")
    assert templates() not in (first, second)


def test_a_bundle_that_is_no_pem_is_refused(case: Case, kubectl: Kubectl, provider: Provider) -> None:
    kubectl.run("create", "configmap", "site-ca", "--from-literal=ca.crt=MIIB...")
    said = refusal(case, provider, "--set", "global.trustedCA.configMap=site-ca")
    assert 'global.trustedCA: key "ca.crt" of ConfigMap site-ca' in said and "contains no PEM certificate" in said
    said = refusal(case, provider, "--set", "global.trustedCA.configMap=site-ca,global.trustedCA.key=other.crt")
    assert 'key "other.crt"' in said


def test_a_volume_that_would_shrink_is_refused(case: Case, provider: Provider) -> None:
    said = refusal(case, provider, "--set", "engine.pvcStorage=90Gi")
    assert "engine.pvcStorage is 90Gi, but the PersistentVolumeClaim chat-gpt-oss-120b-storage-claim has 200Gi, and a volume cannot shrink" in said
    assert "open-webui.persistence.size is 1Gi" in refusal(case, provider, "--set", "open-webui.persistence.size=1Gi")


def test_two_releases_on_one_volume_are_refused(case: Case, provider: Provider, tmp_path: Path) -> None:
    """By the PVC's name, and by composed names: release chat-gpt with engine oss-120b names the PVC of chat with gpt-oss-120b."""
    other = replace(case, release="other")
    command = ["install", "other", str(CHART), "-n", case.namespace, "--dry-run=server", *case.options(), "--set"]
    with pytest.raises(RenderError, match="open-webui.persistence.existingClaim: the PersistentVolumeClaim chat-open-webui .* belongs to the release chat"):
        install.helm(*command, "open-webui.persistence.existingClaim=chat-open-webui", kubeconfig=provider.kubeconfig(), version=other.helm)
    command[1] = "chat-gpt"
    with pytest.raises(
        RenderError, match=r"modelSpec\[0\].pvcStorage: the PersistentVolumeClaim chat-gpt-oss-120b-storage-claim .* belongs to the release chat"
    ):
        install.helm(*command, "vllm-stack.servingEngineSpec.modelSpec[0].name=oss-120b", kubeconfig=provider.kubeconfig(), version=other.helm)


def test_a_label_in_a_selector_is_refused_with_the_way_out(case: Case, provider: Provider) -> None:
    said = refusal(case, provider, "--set", "global.podLabels.team=radiology")
    assert "a selector is immutable" in said and f"kubectl -n {case.namespace} delete deployment chat-deployment-router" in said
