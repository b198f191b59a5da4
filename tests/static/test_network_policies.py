"""Proves: the NetworkPolicies allow the connections of the architecture, pair by pair and port by port, and no others.

The policies are evaluated by the rules of the API. It does not prove that a CNI plugin enforces them.
"""

from dataclasses import dataclass

import pytest
from scout_chat.chart.scenarios import scenario
from scout_chat.core.kubeyaml import KubeObject

from tests.support.objects import of, pods
from tests.support.renders import rendered

# Pods outside the release, by labels and namespace: those that it works with (in capitals), and others in its namespace.
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
# Allowed connections inside the cluster: source, destination, port.
TEST = {("test-chat", "DNS", 53), ("test-chat", "open-webui", 8080), ("open-webui", "DNS", 53)}
MODEL = {
    ("test-chat", "router", 8000),
    ("open-webui", "router", 8000),
    ("router", "serving-engine", 8000),
    ("router", "DNS", 53),
    ("serving-engine", "DNS", 53),
}
ANYBODY = {(who, "open-webui", 8080) for who in (*NEIGHBOURS, *STRANGERS)}
CONNECTIONS = {
    "gpt-oss-hospital": TEST | MODEL | {("INGRESS", "open-webui", 8080), ("MONITORING", "router", 8000), ("MONITORING", "serving-engine", 8000)},
    # Without chatFrom every pod may open the chat.
    "local-network-policy": TEST | MODEL | ANYBODY,
    "external-replicas": TEST | ANYBODY | {("open-webui", "POSTGRES", 5432), ("open-webui", "REDIS", 6379)},
}
# Allowed connections to addresses: source and port. The rules allow every address on these ports, pods included, unless values restrict it.
ADDRESSES = {
    "gpt-oss-hospital": {("open-webui", 443), ("router", 443), ("router", 6443), ("serving-engine", 443)},
    "local-network-policy": {("router", 443), ("router", 6443)},
    "external-replicas": {("open-webui", 80), ("test-chat", 80)},
}


@dataclass(frozen=True)
class Pod:
    labels: dict[str, str]
    namespace: str

    def is_one_of(self, peers: list[KubeObject], home: str) -> bool:
        """Return whether a peer with selectors selects this pod (NetworkPolicy API, networking.k8s.io/v1). ``home`` is the policy's namespace."""
        for peer in peers:
            pods = peer.get("podSelector", {}).get("matchLabels", {}).items() <= self.labels.items()
            space = peer.get("namespaceSelector", {}).get("matchLabels", {"kubernetes.io/metadata.name": home})
            if "ipBlock" not in peer and pods and space.items() <= {"kubernetes.io/metadata.name": self.namespace}.items():
                return True
        return False


def allows(policies: list[KubeObject], pod: Pod, other: Pod, port: int, direction: str, peers: str) -> bool:
    """Return whether the pod's policies allow a connection to (``egress``, ``to``) or from (``ingress``, ``from``) the other pod.

    A pod that no policy selects may connect to every pod and accept every connection.
    """
    mine = [body for body in policies if pod.is_one_of([{"podSelector": body["spec"]["podSelector"]}], body["metadata"]["namespace"])]
    rules = [rule for body in mine for rule in body["spec"][direction] if port in [entry["port"] for entry in rule["ports"]]]
    return not mine or any(peers not in rule or other.is_one_of(rule[peers], pod.namespace) for rule in rules)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_policies_allow_the_connections_of_the_architecture_and_no_others(name: str) -> None:
    """Every pair of pods on every port that occurs. At least one of the two belongs to the release."""
    objects = rendered(scenario(name))
    policies = of(objects, "NetworkPolicy")
    labels = [pod["metadata"]["labels"] for pod in pods(objects).values()]
    ours = {each["app.kubernetes.io/component"]: Pod(each, "chat") for each in labels}
    everybody = ours | {who: Pod(*described) for who, described in (NEIGHBOURS | STRANGERS).items()}
    found = {
        (source, target, port)
        for source, sender in everybody.items()
        for target, receiver in everybody.items()
        for port in PORTS
        if source != target and (source in ours or target in ours)
        if allows(policies, sender, receiver, port, "egress", "to") and allows(policies, receiver, sender, port, "ingress", "from")
    }
    assert found == CONNECTIONS[name]
    addresses = {
        (body["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"], entry["port"])
        for body in policies
        for rule in body["spec"]["egress"]
        if any("ipBlock" in peer for peer in rule.get("to", [{"ipBlock": {}}]))
        for entry in rule["ports"]
    }
    assert addresses == ADDRESSES[name]


def test_by_default_there_is_no_policy() -> None:
    assert of(rendered(scenario("gpt-oss")), "NetworkPolicy") == []
