"""Proves: what an object names exists in the release, with the key, port or account that it asks for.

Objects that the user brings are listed under ``external`` in tests/waivers.yaml. It does not prove that a Secret's content is right.
"""

import re
from collections.abc import Iterator
from itertools import chain

from scout_chat.chart.objects import FIELDS, Pod, Reference
from scout_chat.chart.objects import references as named
from scout_chat.chart.render import Case, Object
from scout_chat.core.kubeyaml import KubeObject

from tests.support.object_index import Manifests
from tests.support.rules import (
    BINDING,
    ENVIRONMENT,
    INGRESS,
    MAIN,
    NEW,
    POD,
    ROUTER,
    TEST,
    WEBUI,
    Defect,
    Found,
    Rule,
    assert_found,
    assert_holds,
    autoscaler,
    new,
)


def references(manifests: Manifests) -> Iterator[Found]:
    for item, where, kind, name, key, optional in chain(named(manifests.nodes, manifests.pods), _by_kind(manifests)):
        body = manifests.get(kind, name)
        if optional or not name:
            continue
        if body is None:
            yield item, f"{kind}/{name} is not in the release ({where})"
        elif key and not any(key in (body.get(part) or {}) for part in ("data", "stringData", "binaryData")):
            yield item, f"{kind}/{name} has no key {key} ({where})"
    yield from _ingress_ports(manifests)
    yield from _addresses(manifests)
    for pod in manifests.pods:
        yield from _inside(manifests, pod)


def _by_kind(manifests: Manifests) -> Iterator[Reference]:
    for item in manifests.of("RoleBinding", "ClusterRoleBinding"):
        yield Reference(item, "roleRef", item.body["roleRef"]["kind"], item.body["roleRef"]["name"])
        for subject in item.body.get("subjects") or []:
            if subject["kind"] == "ServiceAccount" and subject["name"] != "default":
                yield Reference(item, "subjects", "ServiceAccount", subject["name"])
    for item in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = item.body["spec"]["scaleTargetRef"]
        yield Reference(item, "spec.scaleTargetRef", target.get("kind", "Deployment"), target["name"])
    for item in manifests.of("StatefulSet"):
        yield Reference(item, "spec.serviceName", "Service", item.body["spec"].get("serviceName") or "")
    for item in manifests.of("Ingress"):
        for service in _backends(item):
            yield Reference(item, "spec.rules", "Service", service["name"])


def _backends(item: Object) -> list[KubeObject]:
    """Return the Services that an Ingress sends requests to."""
    spec = item.body["spec"]
    backends = [path["backend"] for rule in spec.get("rules") or [] for path in (rule.get("http") or {}).get("paths") or []]
    return [backend["service"] for backend in [*backends, spec.get("defaultBackend") or {}] if "service" in backend]


def _ingress_ports(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.of("Ingress"):
        for service in _backends(item):
            if body := manifests.get("Service", service["name"]):
                ports = [port for entry in body["spec"]["ports"] for port in (entry.get("name"), entry["port"])]
                if (wanted := service["port"].get("name", service["port"].get("number"))) not in ports:
                    yield item, f"Service/{service['name']} has no port {wanted} (spec.rules)"


# The address of a Service: scheme, name, namespace (or none), port (or none). The name stands alone or before the cluster's domain.
ADDRESS = re.compile(r"(https?)://(?!localhost\b)([a-z][-a-z0-9]*)(?:\.([-a-z0-9]+)\.svc(?:\.cluster\.local)?)?(?::(\d+))?(?=[/\"'\s,;]|$)")


def _addresses(manifests: Manifests) -> Iterator[Found]:
    """Check that an address inside the cluster is that of a Service, on a port that it has."""
    for item, path, leaf in manifests.nodes:
        for scheme, name, space, number in ADDRESS.findall(leaf) if isinstance(leaf, str) and "://" in leaf else ():
            if space not in ("", manifests.case.namespace):
                continue
            body, port = manifests.get("Service", name), int(number or {"http": 80, "https": 443}[scheme])
            if not body:
                yield item, f"Service/{name} is not in the release ({'.'.join(path)})"
            elif port not in [entry["port"] for entry in body["spec"]["ports"]]:
                yield item, f"Service/{name} has no port {port} ({'.'.join(path)})"


def _inside(manifests: Manifests, pod: Pod) -> Iterator[Found]:
    """Check that mounts name volumes of the pod, and that $(NAME) names a variable: Kubernetes leaves an unknown $(NAME) as it is."""
    volumes = {entry["name"] for entry in pod.spec.get("volumes") or []}
    volumes |= {entry["metadata"]["name"] for entry in pod.owner.body.get("spec", {}).get("volumeClaimTemplates") or []}
    for name, part in pod.containers:
        for mount in part.get("volumeMounts") or []:
            if mount["name"] not in volumes:
                yield pod.owner, f"{name}: {mount['mountPath']} mounts volume {mount['name']}, which the pod does not have"
        variables = {entry["name"] for entry in part.get("env") or []}
        for source in part.get("envFrom") or []:
            kind, loaded = next((kind, source[field]["name"]) for field, kind in FIELDS.items() if field in source)
            variables |= (manifests.get(kind, loaded) or {}).get("data", {}).keys()
        words = [*(part.get("command") or []), *(part.get("args") or []), *(entry.get("value") or "" for entry in part.get("env") or [])]
        for used in sorted({used for word in words for used in re.findall(r"(?<!\$)\$\(([A-Z_][A-Z0-9_]*)\)", word)} - variables):
            yield pod.owner, f"{name}: $({used}) is no variable of the container"


REFERENCES = Rule("references", references)

DEFECTS: list[Defect] = [
    (WEBUI, f"{MAIN} envFrom 0 configMapRef name", "x", "ConfigMap/x is not in the release (spec.template.spec.containers.open-webui"),
    ("Secret/chat-secrets", "metadata name", "y", None),
    ("Pod/*-test-chat@local", "spec containers 0 env WEBUI_ADMIN_PASSWORD valueFrom secretKeyRef key", "x", "Secret/chat-webui-secrets has no key x"),
    (WEBUI, f"{MAIN} env WEBUI_SECRET_KEY valueFrom secretKeyRef name", "x", "Secret/x is not in the release"),
    (WEBUI, f"{MAIN} env OPENAI_API_KEY valueFrom secretKeyRef", {"name": "x", "key": "y", "optional": True}, None),
    (WEBUI, f"{POD} serviceAccountName", "x", "ServiceAccount/x is not in the release"),
    (WEBUI, f"{POD} imagePullSecrets", [{"name": "x"}], "Secret/x is not in the release"),
    (WEBUI, f"{POD} volumes 0 persistentVolumeClaim claimName", "x", "PersistentVolumeClaim/x is not in the release (volume data)"),
    (TEST, "spec volumes 0 configMap items", [{"key": "x", "path": "x"}], "ConfigMap/chat-test-chat has no key x (volume test)"),
    (TEST, "spec volumes +", {"name": "x", "projected": {"sources": [{"secret": {"name": "x"}}]}}, "Secret/x is not in the release (volume x)"),
    (TEST, "spec volumes +", {"name": "x", "secret": {"secretName": "x", "optional": True}}, None),
    (TEST, "spec containers 0 volumeMounts 0 name", "x", "container chat: /test mounts volume x, which the pod does not have"),
    (ROUTER, f"{MAIN} env HELM_RELEASE name", "RELEASE", "container router-container: $(HELM_RELEASE) is no variable of the container"),
    (BINDING, "roleRef name", "x", "Role/x is not in the release (roleRef)"),
    (BINDING, "subjects 0 name", "x", "ServiceAccount/x is not in the release (subjects)"),
    (INGRESS, "spec rules 0 http paths 0 backend service name", "x", "Service/x is not in the release (spec.rules)"),
    (INGRESS, "spec rules 0 http paths 0 backend service port name", "x", "Service/chat-open-webui has no port x (spec.rules)"),
    (INGRESS, "spec defaultBackend", {"service": {"name": "chat-open-webui", "port": {"number": 81}}}, "has no port 81 (spec.rules)"),
    (INGRESS, "spec tls 0 secretName", "x", "Secret/x is not in the release (spec.tls)"),
    (NEW, "", autoscaler("x"), "Deployment/x is not in the release (spec.scaleTargetRef)"),
    (NEW, "", new("apps/v1", "StatefulSet", spec={"serviceName": "x", "template": {"spec": {"containers": []}}}), "Service/x is not in"),
    (ENVIRONMENT, "data OPENAI_API_BASE_URLS", "http://chat-router.chat.svc/v1", "Service/chat-router is not in the release (data.OPENAI"),
    (ENVIRONMENT, "data OPENAI_API_BASE_URLS", "http://chat-router-service.chat.svc:8000/v1", "chat-router-service has no port 8000 (data"),
    (TEST, "spec containers 0 env CHAT_URL value", "http://chat", "Service/chat is not in the release (spec.containers.chat.env.CHAT_URL.value)"),
]


def test_every_object_that_another_names_exists(case: Case) -> None:
    assert_holds(REFERENCES, case)


def test_planted_defects_are_found() -> None:
    assert_found(REFERENCES, DEFECTS)
