"""Rules about who selects whom, and on which port."""

from collections.abc import Iterator

from scout_chat.chart.render import Object

from tests.static.sweeps.index import Found, Pod, Render


def selectors(render: Render) -> Iterator[Found]:
    """A workload selects its own pods; Services, policies, budgets and monitors select something, on ports that it has."""
    for pod in render.pods:
        if (selector := pod.owner.body.get("spec", {}).get("selector")) and not matches(selector, pod.labels):
            yield pod.owner, f"spec.selector ({text(selector)}) does not match the labels of its own pods"
    for item in render.of("Service"):
        if selector := item.body["spec"].get("selector"):
            pods, found = _selected(render, item, "spec.selector", {"matchLabels": selector})
            yield from found
            yield from _service_ports(item, pods)
    for item in render.of("PodDisruptionBudget", "PodMonitor"):
        yield from _selected(render, item, "spec.selector", item.body["spec"].get("selector") or {})[1]
    for item in render.of("NetworkPolicy"):
        yield from _policy(render, item)
    for item in render.of("ServiceMonitor"):
        yield from _service_monitor(render, item)


def matches(selector: dict, labels: dict) -> bool:
    """A label selector as Kubernetes reads it; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or []:
        value, values = labels.get(term["key"]), term.get("values") or []
        if not {"In": value in values, "NotIn": value not in values, "Exists": value is not None, "DoesNotExist": value is None}[term["operator"]]:
            return False
    return True


def text(selector: dict) -> str:
    pairs = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    return ",".join(pairs + [f"{term['key']} {term['operator']} {term.get('values', '')}".strip() for term in selector.get("matchExpressions") or []])


def _selected(render: Render, item: Object, where: str, selector: dict) -> tuple[list[Pod], list[Found]]:
    pods = [pod for pod in render.pods if matches(selector, pod.labels)]
    return pods, [] if pods else [(item, f"Pod/{text(selector)} is not in the release ({where})")]


def has_port(pod: Pod, port: str | int, protocol: str = "TCP") -> bool:
    """By number or by name, among what the containers declare."""
    ports = [entry for _, part in pod.containers for entry in part.get("ports") or []]
    return any(port in (entry.get("name"), entry["containerPort"]) and entry.get("protocol", "TCP") == protocol for entry in ports)


def _service_ports(item: Object, pods: list[Pod]) -> Iterator[Found]:
    for entry in item.body["spec"].get("ports") or []:
        target, protocol = entry.get("targetPort", entry["port"]), entry.get("protocol", "TCP")
        for pod in pods:
            if not has_port(pod, target, protocol):
                yield item, f"port {entry.get('name', entry['port'])}: {pod.owner.kind}/{pod.owner.name} has no port {target} {protocol}"


def _policy(render: Render, item: Object) -> Iterator[Found]:
    """A port that is allowed on a pod of this release must be one that the pod has: what is allowed in vain hides what is meant."""
    spec = item.body["spec"]
    pods, found = _selected(render, item, "spec.podSelector", spec.get("podSelector") or {})
    yield from found
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or []:
            targets = pods if direction == "ingress" else []
            for peer in rule.get(peers) or []:
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    others, found = _selected(render, item, f"spec.{direction}", peer["podSelector"])
                    yield from found
                    targets = targets + others if direction == "egress" else targets
            for entry in rule.get("ports") or []:
                for pod in targets:
                    if "port" in entry and "endPort" not in entry and not has_port(pod, entry["port"], entry.get("protocol", "TCP")):
                        yield item, f"spec.{direction}: {pod.owner.kind}/{pod.owner.name} has no port {entry['port']} {entry.get('protocol', 'TCP')}"


def _service_monitor(render: Render, item: Object) -> Iterator[Found]:
    spec = item.body["spec"]
    services = [service for service in render.of("Service") if matches(spec["selector"], service.body["metadata"].get("labels") or {})]
    if not services:
        yield item, f"Service/{text(spec['selector'])} is not in the release (spec.selector)"
    for endpoint in spec["endpoints"]:
        for service in services:
            if "port" in endpoint and endpoint["port"] not in [port.get("name") for port in service.body["spec"]["ports"]]:
                yield item, f"spec.endpoints: Service/{service.name} has no port {endpoint['port']}"
