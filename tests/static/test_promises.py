"""Proves, object by object, what the README promises of an install."""

import base64
import json
import os
import subprocess
from dataclasses import replace

import pytest
from scout_chat.chart.render import Case, Object
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core.paths import CHART
from scout_chat.core.tools import tool

from tests.static.conftest import one, rendered

ENGINE_CASES = sorted(name for name, case in scenarios().items() if "external" not in case.values)


def environment(objects: tuple[Object, ...]) -> dict[str, str]:
    (found,) = [item.body for item in objects if item.kind == "ConfigMap" and "-webui-env-" in item.name]
    return found["data"]


def engines(objects: tuple[Object, ...]) -> list[dict]:
    found = [item.body for item in objects if item.kind == "Deployment" and item.name.endswith("-deployment-vllm")]
    assert found
    return found


def engine(objects: tuple[Object, ...]) -> dict:
    (found,) = engines(objects)
    return found


def container(deployment: dict) -> dict:
    return deployment["spec"]["template"]["spec"]["containers"][0]


@pytest.fixture(params=ENGINE_CASES)
def engine_case(request: pytest.FixtureRequest) -> Case:
    return scenario(request.param)


def test_tools_are_offered_where_the_engine_parses_them(engine_case: Case) -> None:
    objects = rendered(engine_case)
    parses = all("--enable-auto-tool-choice" in container(each)["command"] for each in engines(objects))
    assert (json.loads(environment(objects)["DEFAULT_MODEL_PARAMS"])["function_calling"] == "native") == parses


def test_one_gpu_is_enough(engine_case: Case) -> None:
    """No second engine during a rollout; weights kept; shared memory there; an hour to start, the local preset twenty minutes."""
    objects = rendered(engine_case)
    claims = [item.body for item in objects if item.kind == "PersistentVolumeClaim" and item.name.endswith("-storage-claim")]
    assert all(claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for claim in claims)
    several = any(deployment["spec"]["replicas"] > 1 for deployment in engines(objects))
    one_by_one = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    for deployment in engines(objects):
        assert deployment["spec"]["strategy"] == (one_by_one if several else {"type": "Recreate"})
        volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
        claimed = volumes["chat-storage"].get("persistentVolumeClaim", {}).get("claimName")
        assert claimed in [claim["metadata"]["name"] for claim in claims] or volumes["chat-storage"] == {"name": "chat-storage", "emptyDir": {}}
        assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
        probe = container(deployment)["startupProbe"]
        assert probe["failureThreshold"] * probe["periodSeconds"] >= (1200 if engine_case.name.startswith("local") else 3600)


def test_tensor_parallel_size_is_the_number_of_gpus(engine_case: Case) -> None:
    for each in map(container, engines(rendered(engine_case))):
        command = each["command"]
        gpus = int(each["resources"]["requests"].get("nvidia.com/gpu", 0))
        assert int(command[command.index("--tensor-parallel-size") + 1]) == max(1, gpus)


def test_sessions_carry_ids_and_nothing_personal(engine_case: Case) -> None:
    """And never an empty header: it would send every call without a chat to one engine."""
    connection = json.loads(environment(rendered(engine_case))["OPENAI_API_CONFIGS"])["0"]
    assert connection["headers"] == {"x-session-id": "{{CHAT_ID}}/{{USER_ID}}"}
    assert "ENABLE_FORWARD_USER_INFO_HEADERS" not in environment(rendered(engine_case))


def test_nothing_points_outside(case: Case) -> None:
    """Each address in the chat's environment is the cluster's, the user's own, or the pod's discard port."""
    for name, value in environment(rendered(case)).items():
        if "://" in value:
            # The last ones are the browser's own, and what a site names.
            allowed = ("http://127.0.0.1:9", "http://chat-router-service.chat.svc/v1", "http://llm.example.org/v1", "http://llm.models.svc/v1")
            own = ("https://chat.example.org", "https://keycloak.example.org/realms/hospital/", "https://id.example.org/realms/hospital/")
            own = (*own, "http://localhost:", "http://proxy.example.org:3128")
            assert value in allowed or value.startswith(own), f"{name}: {value}"


def test_secrets_are_in_secrets_alone(case: Case) -> None:
    """No generated value appears in any other object, plain or encoded."""
    objects = rendered(case)
    if '"secretKey": {"existingSecret"' in case.extra:
        assert not [item for item in objects if item.kind == "Secret" and item.name.endswith("-webui-secrets")]
        return
    data = one(objects, "Secret", "-webui-secrets")["data"]
    brought = {"client-secret"} if '"existingSecret": "chat-oidc"' in case.extra else set()
    assert {"secret-key", "admin-password", "api-key", "client-secret"} - brought == set(data)
    # What nobody asked for is there and empty, so that no reference to a Secret is optional.
    assert {key for key, value in data.items() if not value} == {"api-key", "client-secret"} - brought
    rest = json.dumps([item.body for item in objects if item.kind != "Secret"])
    for value in filter(None, data.values()):
        assert value not in rest
        assert base64.b64decode(value).decode() not in rest


def test_own_secrets_replace_the_created_one() -> None:
    brought = ("global.chat.secretKey", "global.chat.auth.admin", "global.chat.auth.oidc", "global.llm.apiKey")
    objects = rendered(scenario("gpt-oss-hospital"))
    assert all(f'"{path.split(".")[-1]}": {{' in scenario("gpt-oss-hospital").extra for path in brought)
    assert not [item for item in objects if item.kind == "Secret" and item.name.endswith("-webui-secrets")]


@pytest.mark.charts
def test_a_changed_setting_rolls_the_pods() -> None:
    """The ConfigMap's new name is in the pod template, so Kubernetes starts new pods."""
    before, after = rendered(scenario("local")), rendered(replace(scenario("local"), sets=("global.chat.name=Ward 3",)))
    loaded = [container(one(objects, "Deployment", "-open-webui"))["envFrom"][0]["configMapRef"]["name"] for objects in (before, after)]
    assert loaded[0] != loaded[1]
    for name, objects in zip(loaded, (before, after), strict=True):
        assert one(objects, "ConfigMap", name)


def test_a_changed_setting_rolls_the_pods_on_recorded_renders_too(tmp_path) -> None:
    from scout_chat.chart import recorded
    from scout_chat.chart.render import render

    case = scenario("local")
    chart = recorded.chart(case, tmp_path)
    for name in ("", "Ward 3"):
        objects = tuple(render(replace(case, sets=(f"global.chat.name={name}",)), chart))
        loaded = container(one(objects, "Deployment", "-open-webui"))["envFrom"][0]["configMapRef"]["name"]
        assert one(objects, "ConfigMap", loaded)


@pytest.mark.charts
def test_the_environment_of_two_releases_differs_in_nothing_but_names() -> None:
    other = replace(scenario("external"), release="other", namespace="elsewhere")
    assert environment(rendered(other)) == environment(rendered(scenario("external")))


def test_model_access_for_ordinary_users() -> None:
    assert environment(rendered(scenario("local")))["BYPASS_MODEL_ACCESS_CONTROL"] == "True"
    by_grant = replace(scenario("local"), sets=("global.chat.modelAccess=by-grant",))
    assert environment(rendered(by_grant))["BYPASS_MODEL_ACCESS_CONTROL"] == "False"


def test_compatibility_names_are_off_by_default_and_complete_when_on() -> None:
    assert not [item for item in rendered(scenario("gpt-oss")) if item.name == "vllm-router"]
    assert "app" not in engine(rendered(scenario("gpt-oss")))["spec"]["template"]["metadata"]["labels"]
    objects = rendered(scenario("gpt-oss-compatibility"))
    service = one(objects, "Service", "vllm-router")
    assert service["metadata"]["name"] == "vllm-router"
    assert service["spec"]["ports"][0]["port"] == 8000
    router = one(objects, "Deployment", "-deployment-router")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= router.items()
    assert engine(objects)["spec"]["template"]["metadata"]["labels"]["app"] == "vllm-backend"


def test_external_runs_the_chat_alone() -> None:
    objects = rendered(scenario("external"))
    assert {item.name for item in objects if item.kind == "Deployment"} == {"chat-open-webui"}
    assert environment(objects)["OPENAI_API_BASE_URLS"] == "http://llm.example.org/v1"


def test_the_chat_runs_as_non_root(case: Case) -> None:
    pod = one(rendered(case), "Deployment", "-open-webui")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert all(part["securityContext"]["allowPrivilegeEscalation"] is False for part in pod["containers"] + pod["initContainers"])


def test_every_image_is_pinned(case: Case) -> None:
    for item in rendered(case):
        pod = item.body.get("spec", {}).get("template", {}).get("spec") or (item.body["spec"] if item.kind == "Pod" else {})
        for part in pod.get("containers", []) + pod.get("initContainers", []):
            tag = part["image"].rpartition(":")[2]
            assert tag != part["image"] and tag not in ("latest", "main"), f"{item.kind} {item.name}: {part['image']}"


@pytest.mark.charts
@pytest.mark.parametrize(
    ("name", "said", "unsaid"),
    [
        ("local", "Sign in as admin@example.org. The initial password is in a Secret:", "redirect URI"),
        ("gpt-oss-hospital", "Register this redirect URI at the identity provider: https://chat.example.org/oauth/oidc/callback", "initial password"),
        ("external-oidc", "Sign in as admin@example.org when the identity provider is down. The initial password is in a Secret:", "Warning"),
        ("local-node-port", "passwords and chats are sent unencrypted", "redirect URI"),
    ],
)
def test_the_notes_say_how_people_sign_in(name: str, said: str, unsaid: str) -> None:
    """Helm prints notes at an install alone; a dry run on the client needs no cluster."""
    case = scenario(name)
    command = [tool("helm"), "install", case.release, str(CHART), "--namespace", case.namespace, "--dry-run=client", *case.options()]
    notes = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"KUBECONFIG": os.devnull}).stdout.partition("NOTES:")[2]
    assert said in notes and unsaid not in notes
