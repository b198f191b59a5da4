"""Proves: what `global`, `engine` and `engines` say reaches every object that it is meant for, by Helm 3 and Helm 4 alike; this chart's own
settings survive a list of the user's; a Helm that would render in another order is refused; every shipped file installs alone.

That each key changes some object is test_values_coverage.py's to prove; that a cluster takes the objects, the cluster tier's.
"""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from scout_chat.chart.render import Case, Object, RenderError, render, render_all
from scout_chat.chart.scenarios import scenario
from scout_chat.core.paths import CHART, PRESETS

from tests.static.conftest import rendered

pytestmark = pytest.mark.charts
HELMS = ("helm", "helm3")


def case(*values: str, **extra: object) -> Case:
    return Case("settings", values, json.dumps(extra) if extra else "")


def pods(objects: list[Object] | tuple[Object, ...]) -> dict[str, dict]:
    """Name to pod template; a Pod is its own."""
    return {item.name: item.body if item.kind == "Pod" else item.body["spec"]["template"] for item in objects if item.kind in ("Deployment", "Pod")}


def containers(objects: list[Object] | tuple[Object, ...]) -> list[dict]:
    return [part for pod in pods(objects).values() for part in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"])]


def engine(objects: list[Object], name: str = "gpt-oss-120b") -> dict:
    return pods(objects)[f"chat-{name}-deployment-vllm"]["spec"]["containers"][0]


def variables(container: dict) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def argument(container: dict, flag: str) -> str:
    return container["command"][container["command"].index(flag) + 1]


FILES = sorted(str(path.relative_to(PRESETS).with_suffix("")) for path in PRESETS.rglob("*.yaml"))
ALONE = [(name,) for name in FILES if not name.startswith("overlays/")]
# An overlay goes over a preset: one for a GPU, and the local one.
ALONE += [(preset, name) for name in FILES if name.startswith("overlays/") for preset in ("gpt-oss", "local")]


def test_every_shipped_file_installs_alone() -> None:
    """The one line of the README, with each values file and nothing else."""
    cases = [replace(case(*files), helm=helm) for files, helm in product(ALONE, HELMS)]
    render_all(cases)
    for each in cases:
        assert render(each), each


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", ["gpt-oss-site", "local-site"])
def test_a_sites_settings_reach_every_pod(name: str, helm: str) -> None:
    objects = render(replace(scenario(name), helm=helm))
    assert all(part["image"].startswith("registry.example.org/mirror/") for part in containers(objects))
    for pod_name, pod in pods(objects).items():
        assert {"name": "registry"} in pod["spec"]["imagePullSecrets"], pod_name
        assert pod["metadata"]["labels"]["team"] == "radiology", pod_name
        assert pod["metadata"]["annotations"]["example.org/owner"] == "radiology", pod_name
        gpu = any("gpu" in json.dumps(part.get("resources", {})) for part in pod["spec"]["containers"])
        assert (pod["spec"].get("priorityClassName") == "services") != gpu, pod_name
        assert '"pool"' in json.dumps(pod["spec"].get("nodeSelector", pod["spec"].get("affinity", {}))), pod_name


@pytest.mark.parametrize("helm", HELMS)
def test_a_proxy_and_a_ca_reach_the_chat_the_engine_and_the_download_and_no_router(helm: str) -> None:
    objects = render(replace(scenario("gpt-oss-site"), helm=helm))
    (environment,) = [item.body["data"] for item in objects if item.kind == "ConfigMap" and "-webui-env-" in item.name]
    pod = pods(objects)["chat-gpt-oss-120b-deployment-vllm"]["spec"]
    for where in (environment, variables(pod["containers"][0]), variables(pod["initContainers"][0])):
        assert where["HTTPS_PROXY"] == where["https_proxy"] == "http://proxy.example.org:3128"
        assert {".svc", ".cluster.local", "localhost", "127.0.0.1", ".example.org"} <= set(where["NO_PROXY"].split(","))
        assert where["SSL_CERT_FILE"] == where["REQUESTS_CA_BUNDLE"] == "/etc/scout-chat/trusted-ca/ca.crt"
    for name in ("chat-open-webui", "chat-gpt-oss-120b-deployment-vllm"):
        assert "trusted-ca" in json.dumps(pods(objects)[name]["spec"]["containers"][0]["volumeMounts"])
    assert "proxy" not in json.dumps(pods(objects)["chat-deployment-router"]).lower()


def test_a_host_without_a_dot_is_never_sent_through_the_proxy() -> None:
    settings = {"llm": {"url": "http://llm:8000/v1"}, "proxy": {"http": "http://proxy:3128"}}
    (environment,) = [item.body["data"] for item in render(case("external", **{"global": settings})) if "-webui-env-" in item.name]
    assert "llm" in environment["NO_PROXY"].split(",")


@pytest.mark.parametrize(
    ("image", "mirrored"),
    [
        ("vllm/vllm-openai", "m.example.org/vllm/vllm-openai"),
        ("docker.io/vllm/vllm-openai", "m.example.org/vllm/vllm-openai"),
        ("localhost:5000/vllm", "m.example.org/vllm"),
        ("m.example.org/vllm/vllm-openai", "m.example.org/vllm/vllm-openai"),
        ("vllm", "m.example.org/vllm"),
    ],
)
def test_a_registry_takes_the_place_of_the_images_own(image: str, mirrored: str) -> None:
    settings = ("global.imageRegistry=m.example.org", f"vllm-stack.servingEngineSpec.modelSpec[0].repository={image}")
    assert engine(render(replace(case("gpt-oss"), sets=settings)))["image"].rpartition(":")[0] == mirrored


@pytest.mark.parametrize("helm", HELMS)
def test_a_setting_of_one_engine_wins_over_that_of_all(helm: str) -> None:
    objects = render(replace(scenario("two-models-engines"), helm=helm))
    large, small = engine(objects), engine(objects, "qwen36-27b")
    assert (argument(large, "--max-num-seqs"), argument(small, "--max-num-seqs")) == ("2", "4")
    assert (argument(large, "--max-model-len"), argument(small, "--max-model-len")) == ("16384", "32768")
    replicas = {item.name: item.body["spec"]["replicas"] for item in objects if item.name.endswith("-deployment-vllm")}
    assert replicas == {"chat-gpt-oss-120b-deployment-vllm": 1, "chat-qwen36-27b-deployment-vllm": 2}


@pytest.mark.parametrize("helm", HELMS)
def test_settings_of_the_chart_survive_a_list_of_the_users(helm: str) -> None:
    """Telemetry stays off and kernels stay cached; the router goes on seeing this release alone; the chat keeps its configuration and its Secrets."""
    mine = [{"name": "MINE", "value": "yes"}]
    lists = {
        "vllm-stack": {"servingEngineSpec": {"env": mine}, "routerSpec": {"env": mine, "extraArgs": ["--log-stats"]}},
        "open-webui": {"commonEnvVars": mine, "extraEnvFrom": [{"secretRef": {"name": "mine"}}]},
    }
    objects = render(replace(case("gpt-oss", **lists), helm=helm))
    assert variables(engine(objects)).items() >= {"MINE": "yes", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CACHE_ROOT": "/data/vllm"}.items()
    router = pods(objects)["chat-deployment-router"]["spec"]["containers"][0]
    assert "--log-stats" in router["args"] and router["args"][-2:] == ["--k8s-label-selector", "helm-release-name=$(HELM_RELEASE)"]
    assert {"MINE", "HELM_RELEASE"} <= variables(router).keys()
    chat = pods(objects)["chat-open-webui"]["spec"]["containers"][0]
    assert {"MINE", "WEBUI_SECRET_KEY", "WEBUI_ADMIN_PASSWORD", "OPENAI_API_KEY", "OAUTH_CLIENT_SECRET"} <= variables(chat).keys()
    assert [list(source) for source in chat["envFrom"]] == [["configMapRef"], ["secretRef"]]


def test_weights_are_kept_whoever_wrote_the_engines_entry() -> None:
    """An entry of one's own without pvcAnnotations, and a volume that `engine` asks for."""
    for each in (
        replace(case("gpt-oss"), json=("vllm-stack.servingEngineSpec.modelSpec[0].pvcAnnotations={}",)),
        case("variants/gpt-oss-nfs", engine={"pvcStorage": "10Gi"}),
    ):
        (claim,) = [item.body for item in render(each) if item.kind == "PersistentVolumeClaim" and item.name.endswith("-storage-claim")]
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("helm", HELMS)
def test_conversations_are_kept_whatever_stands_in_the_annotations(helm: str) -> None:
    for annotations in (None, {"backup.example.org/daily": "yes"}):
        chat = {"persistence": {"annotations": annotations}}
        (claim,) = [item.body for item in render(replace(case("external", **{"open-webui": chat}), helm=helm)) if item.kind == "PersistentVolumeClaim"]
        assert claim["metadata"]["annotations"] == (annotations or {}) | {"helm.sh/resource-policy": "keep"}


def test_a_variable_of_the_users_wins_over_the_charts_by_name() -> None:
    telemetry = [{"name": "DO_NOT_TRACK", "value": "0"}]
    container = engine(render(case("gpt-oss", engine={"env": telemetry})))
    assert [entry["value"] for entry in container["env"] if entry["name"] == "DO_NOT_TRACK"] == ["0"]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("nothing", [None, []])
def test_node_terms_can_be_removed(helm: str, nothing: list | None) -> None:
    objects = render(replace(case("gpt-oss", engine={"nodeSelectorTerms": nothing}), helm=helm))
    assert "affinity" not in pods(objects)["chat-gpt-oss-120b-deployment-vllm"]["spec"]
    assert "affinity" in pods(rendered(scenario("gpt-oss")))["chat-gpt-oss-120b-deployment-vllm"]["spec"]


@pytest.mark.parametrize("helm", HELMS)
def test_user_ids_can_be_left_to_the_cluster(helm: str) -> None:
    objects = render(replace(scenario("local-openshift"), helm=helm))
    for name in ("chat-open-webui", "chat-vllm-router", "chat-test-chat"):
        assert pods(objects)[name]["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, name


@pytest.mark.parametrize("helm", HELMS)
def test_a_helm_that_renders_in_another_order_is_refused(helm: str, tmp_path: Path) -> None:
    """The order is broken on purpose: the templates that hand settings on no longer lie deeper than the subcharts'."""
    chart = tmp_path / "scout-chat"
    shutil.copytree(CHART, chart)
    for file in (chart / "templates/settings/before/the/checks").iterdir():
        # Of templates as deep as each other, Helm renders the last name first.
        file.rename(chart / "templates" / f"a-{file.name}")
    for folder in ("validate", "settings"):
        shutil.rmtree(chart / "templates" / folder)
    with pytest.raises(RenderError, match="this release of Helm rendered the open-webui chart before the templates of scout-chat"):
        render(replace(case("gpt-oss"), helm=helm), chart)


def test_one_key_is_enough_for_another_router_or_an_endpoint() -> None:
    """Without vllm-stack.enabled: false the upstream chart leaves an empty Secret and its CRD, and no pod."""
    settings = {"llm": {"mode": "external", "url": "http://llm.example.org/v1", "model": "m"}}
    objects = render(case(**{"global": settings}))
    assert set(pods(objects)) == {"chat-open-webui", "chat-test-chat"}
    assert {item.kind for item in objects if item.chart == "vllm-stack"} <= {"CustomResourceDefinition", "Secret"}
    assert "chat-deployment-router" not in pods(render(replace(case("gpt-oss"), sets=("global.llm.router=vllm-router",))))


TLS = "global.chat.url=https://chat.example.org"
HTTP = "global.chat.url=http://chat.example.org"
ALLOWED = "global.chat.auth.allowHttp=true"
OBJECT = "vllm-stack.extraObjects[0]"
CHAT_OBJECT = "open-webui.extraResources[0]"


def ingress(at: str) -> tuple[str, ...]:
    return (f"{at}.apiVersion=networking.k8s.io/v1", f"{at}.kind=Ingress", f"{at}.metadata.name=x")


def load_balancer(at: str) -> tuple[str, ...]:
    return (f"{at}.apiVersion=v1", f"{at}.kind=Service", f"{at}.metadata.name=x", f"{at}.spec.type=LoadBalancer")


ROUTE = "open-webui.route.parentRefs[0].name=gateway"
# docs/sign-in.md has this table: how the chat or an engine could be reached from outside, and what becomes of it (none: it installs).
EXPOSED = [
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
def test_what_is_exposed_is_safe_or_refused(sets: tuple[str, ...], said: str) -> None:
    each = replace(case("gpt-oss"), sets=sets)
    if said:
        with pytest.raises(RenderError, match=said):
            render(each)
        return
    services = {item.name: item.body["spec"].get("type", "ClusterIP") for item in render(each) if item.kind == "Service"}
    assert {kind for name, kind in services.items() if name != "chat-open-webui"} == {"ClusterIP"}
