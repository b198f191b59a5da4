"""Proves: what ``global`` says of a site reaches every object that it is for: registry, labels, scheduling, proxy, CA, user IDs; with both Helms.

That each key changes some object is the subject of test_values_coverage.py; that a cluster accepts the objects, of the cluster tests.
"""

import json
from dataclasses import replace

import pytest
from scout_chat.chart.render import render
from scout_chat.chart.scenarios import scenario

from tests.support.objects import containers, engine_container, pods, variables, webui_settings
from tests.support.renders import values_case

pytestmark = pytest.mark.charts


@pytest.mark.parametrize("name", ["gpt-oss-site", "local-site"])
def test_registry_labels_and_scheduling_reach_every_pod(name: str, helm: str) -> None:
    objects = render(replace(scenario(name), helm=helm))
    assert all(part["image"].startswith("registry.example.org/mirror/") for part in containers(objects))
    for pod_name, pod in pods(objects).items():
        assert {"name": "registry"} in pod["spec"]["imagePullSecrets"], pod_name
        assert pod["metadata"]["labels"]["team"] == "radiology", pod_name
        assert pod["metadata"]["annotations"]["example.org/owner"] == "radiology", pod_name
        gpu = any("gpu" in json.dumps(part.get("resources", {})) for part in pod["spec"]["containers"])
        assert (pod["spec"].get("priorityClassName") == "services") != gpu, pod_name
        assert '"pool"' in json.dumps(pod["spec"].get("nodeSelector", pod["spec"].get("affinity", {}))), pod_name


def test_proxy_and_ca_reach_open_webui_the_engine_and_the_download_but_no_router(helm: str) -> None:
    objects = render(replace(scenario("gpt-oss-site"), helm=helm))
    environment = webui_settings(objects)
    pod = pods(objects)["chat-gpt-oss-120b-deployment-vllm"]["spec"]
    for where in (environment, variables(pod["containers"][0]), variables(pod["initContainers"][0])):
        assert where["HTTPS_PROXY"] == where["https_proxy"] == "http://proxy.example.org:3128"
        assert {".svc", ".cluster.local", "localhost", "127.0.0.1", ".example.org"} <= set(where["NO_PROXY"].split(","))
        assert where["SSL_CERT_FILE"] == where["REQUESTS_CA_BUNDLE"] == "/etc/scout-chat/trusted-ca/ca.crt"
    for name in ("chat-open-webui", "chat-gpt-oss-120b-deployment-vllm"):
        assert "trusted-ca" in json.dumps(pods(objects)[name]["spec"]["containers"][0]["volumeMounts"])
    assert "proxy" not in json.dumps(pods(objects)["chat-deployment-router"]).lower()


def test_an_endpoint_without_a_dot_in_its_name_bypasses_the_proxy() -> None:
    settings = {"llm": {"url": "http://llm:8000/v1"}, "proxy": {"http": "http://proxy:3128"}}
    assert "llm" in webui_settings(render(values_case("external", **{"global": settings})))["NO_PROXY"].split(",")


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
def test_the_registry_replaces_that_of_an_image(image: str, mirrored: str) -> None:
    settings = ("global.imageRegistry=m.example.org", f"vllm-stack.servingEngineSpec.modelSpec[0].repository={image}")
    assert engine_container(render(replace(values_case("gpt-oss"), sets=settings)))["image"].rpartition(":")[0] == mirrored


def test_user_ids_removed_with_null_are_left_to_the_cluster(helm: str) -> None:
    objects = render(replace(scenario("local-openshift"), helm=helm))
    for name in ("chat-open-webui", "chat-vllm-router", "chat-test-chat"):
        assert pods(objects)[name]["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, name
