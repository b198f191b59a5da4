"""Proves: a workload selects its own pods; Services, NetworkPolicies, budgets and monitors select pods of the release, on ports that these have.

It does not prove that a program listens there; the cluster tests do.
"""

from collections.abc import Iterator

from scout_chat.chart.objects import Pod
from scout_chat.chart.render import Case, Object
from scout_chat.core.kubeyaml import KubeObject

from tests.support.object_index import Manifests
from tests.support.rules import DROP, NEW, POLICY, SERVICE, WEBUI, Defect, Found, Rule, assert_found, assert_holds, new, service_monitor


def selectors(manifests: Manifests) -> Iterator[Found]:
    for pod in manifests.pods:
        if (selector := pod.owner.body.get("spec", {}).get("selector")) and not matches(selector, pod.labels):
            yield pod.owner, f"spec.selector ({text(selector)}) does not match the labels of its own pods"
    for item in manifests.of("Service"):
        if selector := item.body["spec"].get("selector"):
            pods, found = _selected(manifests, item, "spec.selector", {"matchLabels": selector})
            yield from found
            yield from _service_ports(item, pods)
    for item in manifests.of("PodDisruptionBudget", "PodMonitor"):
        yield from _selected(manifests, item, "spec.selector", item.body["spec"].get("selector") or {})[1]
    for item in manifests.of("NetworkPolicy"):
        yield from _policy(manifests, item)
    for item in manifests.of("ServiceMonitor"):
        yield from _service_monitor(manifests, item)


def matches(selector: KubeObject, labels: dict[str, str]) -> bool:
    """Return whether a label selector matches, as Kubernetes reads it: an empty selector matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or []:
        value, values = labels.get(term["key"]), term.get("values") or []
        if not {"In": value in values, "NotIn": value not in values, "Exists": value is not None, "DoesNotExist": value is None}[term["operator"]]:
            return False
    return True


def text(selector: KubeObject) -> str:
    """Return the selector as kubectl writes it."""
    pairs = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    return ",".join(pairs + [f"{term['key']} {term['operator']} {term.get('values', '')}".strip() for term in selector.get("matchExpressions") or []])


def _selected(manifests: Manifests, item: Object, where: str, selector: KubeObject) -> tuple[list[Pod], list[Found]]:
    pods = [pod for pod in manifests.pods if matches(selector, pod.labels)]
    return pods, [] if pods else [(item, f"Pod/{text(selector)} is not in the release ({where})")]


def has_port(pod: Pod, port: str | int, protocol: str = "TCP") -> bool:
    """Return whether a container of the pod declares the port, by number or by name."""
    ports = [entry for _, part in pod.containers for entry in part.get("ports") or []]
    return any(port in (entry.get("name"), entry["containerPort"]) and entry.get("protocol", "TCP") == protocol for entry in ports)


def _service_ports(item: Object, pods: list[Pod]) -> Iterator[Found]:
    for entry in item.body["spec"].get("ports") or []:
        target, protocol = entry.get("targetPort", entry["port"]), entry.get("protocol", "TCP")
        for pod in pods:
            if not has_port(pod, target, protocol):
                yield item, f"port {entry.get('name', entry['port'])}: {pod.owner.kind}/{pod.owner.name} has no port {target} {protocol}"


def _policy(manifests: Manifests, item: Object) -> Iterator[Found]:
    """Check that each port that a policy allows on pods of this release is one that these pods have."""
    spec = item.body["spec"]
    pods, found = _selected(manifests, item, "spec.podSelector", spec.get("podSelector") or {})
    yield from found
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or []:
            targets = pods if direction == "ingress" else []
            for peer in rule.get(peers) or []:
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    others, found = _selected(manifests, item, f"spec.{direction}", peer["podSelector"])
                    yield from found
                    targets = targets + others if direction == "egress" else targets
            for entry in rule.get("ports") or []:
                for pod in targets:
                    if "port" in entry and "endPort" not in entry and not has_port(pod, entry["port"], entry.get("protocol", "TCP")):
                        yield item, f"spec.{direction}: {pod.owner.kind}/{pod.owner.name} has no port {entry['port']} {entry.get('protocol', 'TCP')}"


def _service_monitor(manifests: Manifests, item: Object) -> Iterator[Found]:
    spec = item.body["spec"]
    services = [service for service in manifests.of("Service") if matches(spec["selector"], service.body["metadata"].get("labels") or {})]
    if not services:
        yield item, f"Service/{text(spec['selector'])} is not in the release (spec.selector)"
    for endpoint in spec["endpoints"]:
        for service in services:
            if "port" in endpoint and endpoint["port"] not in [port.get("name") for port in service.body["spec"]["ports"]]:
                yield item, f"spec.endpoints: Service/{service.name} has no port {endpoint['port']}"


SELECTORS = Rule("selectors", selectors)

DEFECTS: list[Defect] = [
    (WEBUI, "spec selector matchLabels x", "y", "does not match the labels of its own pods"),
    (WEBUI, "spec selector matchExpressions", [{"key": "x", "operator": "Exists"}], "does not match the labels of its own pods"),
    (WEBUI, "spec selector matchExpressions", [{"key": "x", "operator": "In", "values": ["y"]}], "does not match the labels"),
    (SERVICE, "spec selector app.kubernetes.io/component", "webui", "Pod/app.kubernetes.io/component=webui,"),
    (SERVICE, "spec ports 0 targetPort", "web", "port http: Deployment/chat-open-webui has no port web TCP"),
    (SERVICE, "spec ports 0 targetPort", DROP, "Deployment/chat-open-webui has no port 80 TCP"),
    (SERVICE, "spec ports 0 protocol", "UDP", "has no port http UDP"),
    (POLICY, "spec podSelector matchLabels x", "y", "(spec.podSelector)"),
    (POLICY, "spec egress 1 to 0 podSelector matchLabels x", "y", "(spec.egress)"),
    (POLICY, "spec egress 1 ports 0 port", 8001, "spec.egress: Deployment/chat-deployment-router has no port 8001 TCP"),
    (POLICY, "spec ingress 0 ports 0 port", 80, "spec.ingress: Deployment/chat-open-webui has no port 80 TCP"),
    (POLICY, "spec ingress 0 from +", {"podSelector": {"matchLabels": {"x": "y"}}}, "Pod/x=y is not in the release (spec.ingress)"),
    (NEW, "", new("policy/v1", "PodDisruptionBudget", spec={"selector": {"matchLabels": {"x": "y"}}}), "Pod/x=y is not in the release"),
    (NEW, "", service_monitor({"port": "http"}, x="y"), "Service/x=y is not in the release"),
    (NEW, "", service_monitor({"port": "metrics"}), "spec.endpoints: Service/chat-open-webui has no port metrics"),
]


def test_every_selector_selects_pods_that_have_its_ports(case: Case) -> None:
    assert_holds(SELECTORS, case)


def test_planted_defects_are_found() -> None:
    assert_found(SELECTORS, DEFECTS)
