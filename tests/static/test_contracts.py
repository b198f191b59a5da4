"""Proves: what one chart says of another's objects is so, in every scenario: addresses, keys, labels, headers, names, and who may speak to whom.

It does not prove that the programs behave so; tests/cluster does for the local preset.
"""

import json
from dataclasses import dataclass, replace

import pytest
from scout_chat.chart.render import Case, Object
from scout_chat.chart.scenarios import scenario, scenarios

from tests.static.conftest import rendered


def of(objects: tuple[Object, ...], kind: str) -> list[dict]:
    return [item.body for item in objects if item.kind == kind]


def templates(objects: tuple[Object, ...]) -> list[dict]:
    """The pod templates of Deployments, and Pods."""
    return [body["spec"]["template"] for body in of(objects, "Deployment")] + of(objects, "Pod")


def component(objects: tuple[Object, ...], name: str) -> list[dict]:
    return [template for template in templates(objects) if template["metadata"]["labels"].get("app.kubernetes.io/component") == name]


def main(template: dict) -> dict:
    return template["spec"]["containers"][0]


def environment(objects: tuple[Object, ...]) -> dict[str, str]:
    """What the chat's container gets, as text; a Secret's key as ``name/key``. A variable of its own wins over one of a ConfigMap."""
    container = main(component(objects, "open-webui")[0])
    maps = {body["metadata"]["name"]: body["data"] for body in of(objects, "ConfigMap")}
    values: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            values |= maps[source["configMapRef"]["name"]]
    for entry in container["env"]:
        key = entry.get("valueFrom", {}).get("secretKeyRef")
        values[entry["name"]] = f"{key['name']}/{key['key']}" if key else entry["value"]
    return values


def argument(container: dict, flag: str) -> str:
    """The value of the flag's last occurrence, which is the one that argparse takes."""
    words = container.get("args") or container["command"]
    return words[len(words) - words[::-1].index(flag)]


ENGINES = sorted(name for name, case in scenarios().items() if "external" not in case.values)


@pytest.fixture(params=ENGINES)
def engines(request: pytest.FixtureRequest) -> Case:
    return scenario(request.param)


def test_the_chat_asks_the_routers_service_at_its_port_and_path(engines: Case) -> None:
    objects = rendered(engines)
    (service,) = [body for body in of(objects, "Service") if body["metadata"]["name"] == f"{engines.release}-router-service"]
    (port,) = [port for port in service["spec"]["ports"] if port["port"] == 80]
    assert environment(objects)["OPENAI_API_BASE_URLS"] == f"http://{service['metadata']['name']}.{engines.namespace}.svc/v1"
    (router,) = [template for template in templates(objects) if service["spec"]["selector"].items() <= template["metadata"]["labels"].items()]
    ports = {entry["name"]: entry["containerPort"] for entry in main(router)["ports"]}
    assert argument(main(router), "--port") == str(ports[port["targetPort"]] if isinstance(port["targetPort"], str) else port["targetPort"])


def test_both_sides_take_the_engines_key_from_one_secret(engines: Case) -> None:
    objects = rendered(engines)
    keys = set()
    for container in (main(template) for template in component(objects, "serving-engine")):
        keys |= {json.dumps(entry["valueFrom"]) for entry in container["env"] if entry["name"] == "VLLM_API_KEY"}
    if not keys:
        assert "llm-key" not in environment(objects)["OPENAI_API_KEY"]
        return
    (key,) = keys
    reference = json.loads(key)["secretKeyRef"]
    assert environment(objects)["OPENAI_API_KEY"] == f"{reference['name']}/{reference['key']}"


def selector_of(router: dict, release: str) -> dict[str, str]:
    """The labels by which the router finds engines, whichever router it is."""
    container = main(router)
    if "--k8s-label-selector" in container["args"]:
        (variable,) = [entry for entry in container["env"] if entry["name"] == "HELM_RELEASE"]
        field = variable["valueFrom"]["fieldRef"]["fieldPath"]
        value = router["metadata"]["labels"][field.removeprefix("metadata.labels['").removesuffix("']")]
        pairs = [argument(container, "--k8s-label-selector").replace("$(HELM_RELEASE)", value)]
    else:
        start = container["args"].index("--selector") + 1
        pairs = [word for word in container["args"][start:] if "=" in word][:2]
    return dict(pair.split("=") for pair in pairs)


@pytest.mark.charts
def test_discovery_finds_this_releases_engines_and_nobody_elses(engines: Case) -> None:
    """Another release of the same values in the same namespace: its pods are not selected, whatever its name has in common."""
    objects = rendered(engines)
    (router,) = component(objects, "router")
    selector = selector_of(router, engines.release)
    own = [template["metadata"]["labels"] for template in component(objects, "serving-engine")]
    assert own and all(selector.items() <= labels.items() for labels in own)
    others = [template for name in ("chat2", "other") for template in templates(rendered(replace(engines, release=name)))]
    assert not [labels for template in others if selector.items() <= (labels := template["metadata"]["labels"]).items()]
    # Nor the chat, the test or the router itself: only engines are asked.
    rest = [template for template in templates(objects) if template["metadata"]["labels"] not in own]
    assert not [template for template in rest if selector.items() <= template["metadata"]["labels"].items()]


def test_the_header_of_the_chat_is_the_routers_key(engines: Case) -> None:
    objects = rendered(engines)
    ((header, value),) = json.loads(environment(objects)["OPENAI_API_CONFIGS"])["0"]["headers"].items()
    assert value == "{{CHAT_ID}}/{{USER_ID}}"
    (router,) = component(objects, "router")
    if "--routing-logic" in main(router)["args"]:
        assert argument(main(router), "--routing-logic") == "session"
        assert argument(main(router), "--session-key") == header
    else:
        # vllm-router's consistent hash looks at this header; its name cannot be chosen there.
        assert (argument(main(router), "--policy"), header) == ("consistent_hash", "x-session-id")


def test_the_served_name_is_the_chats_default_and_task_model(engines: Case) -> None:
    objects = rendered(engines)
    served = {argument(main(template), "--served-model-name") for template in component(objects, "serving-engine")}
    values = environment(objects)
    assert values["DEFAULT_MODELS"] == values["TASK_MODEL_EXTERNAL"]
    assert values["DEFAULT_MODELS"] in served
    assert len(served) == (2 if engines.name.startswith("two-models") else 1)


# Who may speak to whom, inside the cluster: the release's components, its neighbours (capitals), and strangers in its namespace.
NEIGHBOURS = {
    "INGRESS": ({}, "ingress-nginx"),
    "MONITORING": ({"app": "prometheus"}, "monitoring"),
    "DNS": ({"k8s-app": "kube-dns"}, "kube-system"),
    "POSTGRES": ({"app": "postgres"}, "chat"),
    "REDIS": ({"app": "redis"}, "chat"),
}
STRANGERS = {
    "another release": ({"app.kubernetes.io/instance": "other", "app.kubernetes.io/component": "router"}, "chat"),
    "a notebook": ({"app": "jupyter"}, "chat"),
}
PORTS = (53, 80, 443, 5432, 6379, 6443, 8000, 8080, 9000, 29000, 55555)
TEST = {("test-chat", "DNS", 53), ("test-chat", "open-webui", 8080), ("open-webui", "DNS", 53)}
MODEL = {
    ("test-chat", "router", 8000),
    ("open-webui", "router", 8000),
    ("router", "serving-engine", 8000),
    ("router", "DNS", 53),
    ("serving-engine", "DNS", 53),
}
ANYBODY = {(who, "open-webui", 8080) for who in (*NEIGHBOURS, *STRANGERS)}
ARROWS = {
    "gpt-oss-hospital": TEST | MODEL | {("INGRESS", "open-webui", 8080), ("MONITORING", "router", 8000), ("MONITORING", "serving-engine", 8000)},
    # Without chatFrom anybody may open the chat.
    "local-network-policy": TEST | MODEL | ANYBODY,
    "external-replicas": TEST | ANYBODY | {("open-webui", "POSTGRES", 5432), ("open-webui", "REDIS", 6379)},
}
# And by address, which on these ports is every address, a pod's as well, until the values narrow it.
ADDRESSES = {
    "gpt-oss-hospital": {("open-webui", 443), ("router", 443), ("router", 6443), ("serving-engine", 443)},
    "local-network-policy": {("router", 443), ("router", 6443)},
    "external-replicas": {("open-webui", 80), ("test-chat", 80)},
}


@dataclass(frozen=True)
class Pod:
    labels: dict
    namespace: str

    def is_one_of(self, peers: list[dict], home: str) -> bool:
        """Whether a peer with selectors selects this pod (NetworkPolicy API, networking.k8s.io/v1); ``home`` is the policy's namespace."""
        for peer in peers:
            pods = peer.get("podSelector", {}).get("matchLabels", {}).items() <= self.labels.items()
            space = peer.get("namespaceSelector", {}).get("matchLabels", {"kubernetes.io/metadata.name": home})
            if "ipBlock" not in peer and pods and space.items() <= {"kubernetes.io/metadata.name": self.namespace}.items():
                return True
        return False


def passes(policies: list[dict], pod: Pod, other: Pod, port: int, direction: str, peers: str) -> bool:
    """Whether the pod's policies let it speak to (``egress``, ``to``) or hear (``ingress``, ``from``) the other; no policy lets all pass."""
    mine = [body for body in policies if pod.is_one_of([{"podSelector": body["spec"]["podSelector"]}], body["metadata"]["namespace"])]
    rules = [rule for body in mine for rule in body["spec"][direction] if port in [entry["port"] for entry in rule["ports"]]]
    return not mine or any(peers not in rule or other.is_one_of(rule[peers], pod.namespace) for rule in rules)


@pytest.mark.parametrize("name", ARROWS)
def test_network_policies_allow_the_arrows_of_the_architecture_and_no_others(name: str) -> None:
    """Every pair on every port that occurs; at least one of the two is a component, for others are not this chart's business."""
    objects = rendered(scenario(name))
    policies = of(objects, "NetworkPolicy")
    pods = {template["metadata"]["labels"]["app.kubernetes.io/component"]: Pod(template["metadata"]["labels"], "chat") for template in templates(objects)}
    everybody = pods | {who: Pod(*described) for who, described in (NEIGHBOURS | STRANGERS).items()}
    found = {
        (source, target, port)
        for source, sender in everybody.items()
        for target, receiver in everybody.items()
        for port in PORTS
        if source != target and (source in pods or target in pods)
        if passes(policies, sender, receiver, port, "egress", "to") and passes(policies, receiver, sender, port, "ingress", "from")
    }
    assert found == ARROWS[name]
    addresses = {
        (body["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"], entry["port"])
        for body in policies
        for rule in body["spec"]["egress"]
        if any("ipBlock" in peer for peer in rule.get("to", [{"ipBlock": {}}]))
        for entry in rule["ports"]
    }
    assert addresses == ADDRESSES[name]


def test_without_network_policies_there_are_none() -> None:
    assert of(rendered(scenario("gpt-oss")), "NetworkPolicy") == []
