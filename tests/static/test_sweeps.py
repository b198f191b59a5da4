"""Proves: every rule of tests/static/sweeps holds for every object of every scenario, each waiver is needed, and no rule is blind."""

from copy import deepcopy
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase

import pytest
from scout_chat.chart.render import Case, Object, RenderError, render, render_all
from scout_chat.chart.scenarios import scenario, scenarios
from scout_chat.core.paths import CHART

from tests.conftest import HAVE_CHARTS
from tests.static.sweeps import NEEDS_CHARTS, RULES, findings, index, judge, minors, pods
from tests.static.sweeps.index import Render
from tests.static.sweeps.waivers import Finding, Waiver, expired, unused, unwaived, waivers

EVERY_RULE = [pytest.param(rule, marks=pytest.mark.charts) if rule in NEEDS_CHARTS else rule for rule in RULES]


@pytest.fixture(scope="module", autouse=True)
def _rendered_together() -> None:
    """What the cache lacks, on every core at once."""
    if HAVE_CHARTS:
        render_all([replace(case, kubernetes=minor) for case in scenarios().values() for minor in minors("schema")])


def over_minors(rule: str, case: Case) -> list[Finding]:
    return [finding for minor in minors(rule) for finding in findings(rule, replace(case, kubernetes=minor))]


def explained(found: list[Finding]) -> str:
    return "\n".join(["mend it, or accept it with a reason in tests/waivers.yaml:", *sorted({str(finding) for finding in found})])


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_rule(rule: str, case: Case) -> None:
    """Not proven: what a cluster adds (defaults, admission, quotas)."""
    found = unwaived(over_minors(rule, case), waivers())
    assert not found, explained(found)


def everything() -> list[Finding]:
    known = [rule for rule in RULES if HAVE_CHARTS or rule not in NEEDS_CHARTS]
    return [finding for rule in known for case in scenarios().values() for finding in over_minors(rule, case)]


def test_every_waiver_is_needed() -> None:
    """All rules over all scenarios, here and now: which other tests run does not matter."""
    idle = unused(everything(), [waiver for waiver in waivers() if HAVE_CHARTS or waiver.rule not in NEEDS_CHARTS])
    assert not idle, "\n".join(["nothing needs these any more, take them out of tests/waivers.yaml:", *map(str, idle)])


def test_no_waiver_is_past_its_day() -> None:
    past = expired(waivers(), date.today())
    assert not past, "\n".join(["look at these again (tests/waivers.yaml, expires):", *(f"{waiver.expires}: {waiver}" for waiver in past)])


def test_every_waiver_is_of_a_rule() -> None:
    assert {waiver.rule for waiver in waivers()} <= RULES.keys()


def test_waivers_cover_what_they_say_and_no_more() -> None:
    finding = Finding("probes", "local", "Deployment/chat-x", "container x has no startupProbe")
    entry = {"rule": "probes", "object": "Deployment/*-x", "what": ["container x has *"], "scenario": "loc*", "reason": "planted", "expires": "2020-02-29"}
    waiver = Waiver.model_validate(entry)
    assert unwaived([finding], [waiver]) == unused([finding], [waiver]) == []
    assert expired([waiver], date(2020, 2, 29)) == [] and expired([waiver], date(2020, 3, 1)) == [waiver]
    for field, other in (("rule", "names"), ("object", "Deployment/*-y"), ("what", ["container y *"]), ("scenario", "external")):
        elsewhere = Waiver.model_validate(entry | {field: other})
        assert unwaived([finding], [elsewhere]) == [finding] and unused([finding], [elsewhere]) == [elsewhere]


def test_the_list_of_images_has_no_more_than_is_used() -> None:
    """Less shows in the rule `images`."""
    used = set().union(*(pods.images_of(index(case)) for case in scenarios().values()))
    listed = pods.reviewed_images()
    assert listed == sorted(set(listed)), "tests/images.yaml is not sorted"
    assert set(listed) - used == set(), "no scenario uses these, take them out of tests/images.yaml"


def longest(case: Case) -> Case:
    """The case as the longest release that is accepted: Helm takes 53 characters, and the name of an engine's Service 63."""
    names = [item.name for item in index(case).of("Service") if item.name.endswith("-engine-service")]
    room = min([53, *(63 - len(name) + len(case.release) for name in names)])
    return replace(case, release="r" + "e" * (room - 2) + "9", namespace="n" * 63)


def one_more(case: Case) -> Case:
    return replace(case, release=f"{case.release}9")


@pytest.fixture(scope="module")
def _longest_together() -> None:
    render_all([variant for case in scenarios().values() for variant in (longest(case), one_more(longest(case)))])


@pytest.mark.charts
@pytest.mark.usefixtures("_longest_together")
def test_the_longest_release_name(case: Case) -> None:
    """Every rule again, under names that nothing else in the chart contains; one character more is refused."""
    case = longest(case)
    found = unwaived([finding for rule in RULES for finding in findings(rule, case)], waivers())
    assert not found, explained(found)
    with pytest.raises(RenderError, match=r"too long together|release name.*53"):
        render(one_more(case), CHART)


# A defect in a copy of a real object must be found: rule, object, path in it (a list's item by its number or name), value there, what the rule
# says. `+` appends, DROP removes; an object that is `+` is added. The scenario is HOSPITAL unless `@` says another.
DROP = object()
HOSPITAL = "gpt-oss-hospital"
WEBUI, ENGINE, ROUTER = "Deployment/chat-open-webui", "Deployment/*-deployment-vllm", "Deployment/*-deployment-router"
SERVICE, ENVIRONMENT, TEST, POLICY = "Service/chat-open-webui", "ConfigMap/*-webui-env-*", "Pod/*-test-chat", "NetworkPolicy/chat-chat"
BINDING, ROLE = "RoleBinding/*-deployment-access-binding", "Role/*-reader"
POD = "spec template spec"
MAIN = f"{POD} containers 0"


def added(api: str, kind: str, **body: object) -> dict:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "planted"}} | body


def monitor(endpoint: dict, **labels: str) -> dict:
    labels = labels or {"app.kubernetes.io/component": "open-webui"}
    return added("monitoring.coreos.com/v1", "ServiceMonitor", spec={"selector": {"matchLabels": labels}, "endpoints": [endpoint]})


def scaler(target: str, **more: str) -> dict:
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target} | more, "maxReplicas": 2}
    return added("autoscaling/v2", "HorizontalPodAutoscaler", spec=spec)


PLANTED = [
    ("schema", WEBUI, "spec strategi", {}, "$.spec: Additional properties are not allowed ('strategi' was unexpected)"),
    ("schema", WEBUI, f"{MAIN} ports 0 containerPort", "http", '$.spec.template.spec.containers[0].ports[0].containerPort: "http" is not of type'),
    ("schema", WEBUI, "spec selector", DROP, '"selector" is a required property'),
    ("schema", "Secret/chat-secrets", "data", {"key": "not base64"}, "$.data.key"),
    ("schema", "ConfigMap/*-test-chat", "metadata annotations", {"a": 1}, "$.metadata.annotations.a: 1 is not of type"),
    ("schema", "+", "", added("ray.io/v1", "RayCluster", spec={}), "no schema is known for ray.io/v1 RayCluster"),
    ("schema", "+", "", added("apps.example.org/v1", "Deployment", spec={}), "no schema is known for apps.example.org/v1 Deployment"),
    ("schema", "+", "", added("policy/v1beta1", "PodDisruptionBudget", spec={}), "no schema is known for policy/v1beta1"),
    ("schema", "+", "", added("production-stack.vllm.ai/v1alpha1", "LoraAdapter", spec={"baseModel": "m", "x": 1}), "('x' was unexpected)"),
    ("archived-schema", "+", "", monitor({"port": "http", "intervall": "5s"}), "$.spec.endpoints[0]: Additional properties are not allowed ('intervall'"),
    ("merge-keys", WEBUI, f"{MAIN} env +", {"name": "WEBUI_URL"}, "$.spec.template.spec.containers[0].env: two entries of name WEBUI_URL"),
    ("merge-keys", WEBUI, f"{MAIN} ports +", {"containerPort": 8080, "protocol": "TCP"}, "ports: two entries of containerPort 8080, protocol TCP"),
    ("merge-keys", WEBUI, f"{MAIN} ports +", {"containerPort": 8080, "protocol": "UDP"}, "container open-webui: two ports are 8080"),
    ("merge-keys", WEBUI, f"{MAIN} ports +", {"containerPort": 9090, "name": "http"}, "container open-webui: two ports are called http"),
    ("merge-keys", WEBUI, f"{MAIN} envFrom", [{"secretRef": {"name": "a"}}] * 2, "container open-webui: envFrom: twice"),
    ("merge-keys", WEBUI, f"{MAIN} volumeMounts +", {"name": "data", "mountPath": "/app/backend/data"}, "volumeMounts: two entries of mountPath"),
    ("merge-keys", WEBUI, f"{POD} volumes +", {"name": "data", "emptyDir": {}}, "volumes: two entries of name data"),
    ("merge-keys", WEBUI, f"{POD} imagePullSecrets", [{"name": "a"}] * 2, "imagePullSecrets: two entries of name a"),
    ("merge-keys", WEBUI, f"{POD} initContainers 0 name", "open-webui", "two containers are called open-webui"),
    ("merge-keys", ENGINE, f"{POD} tolerations", [{"operator": "Exists"}] * 2, "tolerations: twice"),
    ("merge-keys", SERVICE, "spec ports +", {"port": 80, "name": "again"}, "$.spec.ports: two entries of port 80, protocol TCP"),
    ("merge-keys", SERVICE, "spec ports +", {"port": 81, "name": "http"}, "spec.ports: two are called http"),
    ("merge-keys", WEBUI, "metadata finalizers", ["a", "a"], "$.metadata.finalizers: two entries of a"),
    ("selectors", WEBUI, "spec selector matchLabels x", "y", "does not match the labels of its own pods"),
    ("selectors", WEBUI, "spec selector matchExpressions", [{"key": "x", "operator": "Exists"}], "does not match the labels of its own pods"),
    ("selectors", WEBUI, "spec selector matchExpressions", [{"key": "x", "operator": "In", "values": ["y"]}], "does not match the labels"),
    ("selectors", SERVICE, "spec selector app.kubernetes.io/component", "webui", "Pod/app.kubernetes.io/component=webui,"),
    ("selectors", SERVICE, "spec ports 0 targetPort", "web", "port http: Deployment/chat-open-webui has no port web TCP"),
    ("selectors", SERVICE, "spec ports 0 targetPort", DROP, "Deployment/chat-open-webui has no port 80 TCP"),
    ("selectors", SERVICE, "spec ports 0 protocol", "UDP", "has no port http UDP"),
    ("selectors", POLICY, "spec podSelector matchLabels x", "y", "(spec.podSelector)"),
    ("selectors", POLICY, "spec egress 1 to 0 podSelector matchLabels x", "y", "(spec.egress)"),
    ("selectors", POLICY, "spec egress 1 ports 0 port", 8001, "spec.egress: Deployment/chat-deployment-router has no port 8001 TCP"),
    ("selectors", POLICY, "spec ingress 0 ports 0 port", 80, "spec.ingress: Deployment/chat-open-webui has no port 80 TCP"),
    ("selectors", POLICY, "spec ingress 0 from +", {"podSelector": {"matchLabels": {"x": "y"}}}, "Pod/x=y is not in the release (spec.ingress)"),
    ("selectors", "+", "", added("policy/v1", "PodDisruptionBudget", spec={"selector": {"matchLabels": {"x": "y"}}}), "Pod/x=y is not in the release"),
    ("selectors", "+", "", monitor({"port": "http"}, x="y"), "Service/x=y is not in the release"),
    ("selectors", "+", "", monitor({"port": "metrics"}), "spec.endpoints: Service/chat-open-webui has no port metrics"),
    ("references", WEBUI, f"{MAIN} envFrom 0 configMapRef name", "x", "ConfigMap/x is not in the release (spec.template.spec.containers.open-webui"),
    ("references", "Secret/chat-secrets", "metadata name", "y", None),
    (
        "references",
        "Pod/*-test-chat@local",
        "spec containers 0 env WEBUI_ADMIN_PASSWORD valueFrom secretKeyRef key",
        "x",
        "Secret/chat-webui-secrets has no key x",
    ),
    ("references", WEBUI, f"{MAIN} env WEBUI_SECRET_KEY valueFrom secretKeyRef name", "x", "Secret/x is not in the release"),
    ("references", WEBUI, f"{MAIN} env OPENAI_API_KEY valueFrom secretKeyRef", {"name": "x", "key": "y", "optional": True}, None),
    ("references", WEBUI, f"{POD} serviceAccountName", "x", "ServiceAccount/x is not in the release"),
    ("references", WEBUI, f"{POD} imagePullSecrets", [{"name": "x"}], "Secret/x is not in the release"),
    ("references", WEBUI, f"{POD} volumes 0 persistentVolumeClaim claimName", "x", "PersistentVolumeClaim/x is not in the release (volume data)"),
    ("references", TEST, "spec volumes 0 configMap items", [{"key": "x", "path": "x"}], "ConfigMap/chat-test-chat has no key x (volume test)"),
    ("references", TEST, "spec volumes +", {"name": "x", "projected": {"sources": [{"secret": {"name": "x"}}]}}, "Secret/x is not in the release (volume x)"),
    ("references", TEST, "spec volumes +", {"name": "x", "secret": {"secretName": "x", "optional": True}}, None),
    ("references", TEST, "spec containers 0 volumeMounts 0 name", "x", "container chat: /test mounts volume x, which the pod does not have"),
    ("references", ROUTER, f"{MAIN} env HELM_RELEASE name", "RELEASE", "container router-container: $(HELM_RELEASE) is no variable of the container"),
    ("references", BINDING, "roleRef name", "x", "Role/x is not in the release (roleRef)"),
    ("references", BINDING, "subjects 0 name", "x", "ServiceAccount/x is not in the release (subjects)"),
    ("references", "Ingress/*", "spec rules 0 http paths 0 backend service name", "x", "Service/x is not in the release (spec.rules)"),
    ("references", "Ingress/*", "spec rules 0 http paths 0 backend service port name", "x", "Service/chat-open-webui has no port x (spec.rules)"),
    ("references", "Ingress/*", "spec defaultBackend", {"service": {"name": "chat-open-webui", "port": {"number": 81}}}, "has no port 81 (spec.rules)"),
    ("references", "Ingress/*", "spec tls 0 secretName", "x", "Secret/x is not in the release (spec.tls)"),
    ("references", "+", "", scaler("x"), "Deployment/x is not in the release (spec.scaleTargetRef)"),
    ("references", "+", "", added("apps/v1", "StatefulSet", spec={"serviceName": "x", "template": {"spec": {"containers": []}}}), "Service/x is not in"),
    ("references", ENVIRONMENT, "data OPENAI_API_BASE_URLS", "http://chat-router.chat.svc/v1", "Service/chat-router is not in the release (data.OPENAI"),
    ("references", ENVIRONMENT, "data OPENAI_API_BASE_URLS", "http://chat-router-service.chat.svc:8000/v1", "chat-router-service has no port 8000 (data"),
    ("references", TEST, "spec containers 0 env CHAT_URL value", "http://chat", "Service/chat is not in the release (spec.containers.chat.env.CHAT_URL.value)"),
    ("probes", WEBUI, f"{MAIN} readinessProbe", DROP, "container open-webui has no readinessProbe"),
    ("probes", ENGINE, f"{MAIN} livenessProbe", DROP, "container vllm has no livenessProbe"),
    ("probes", ROUTER, f"{MAIN} startupProbe", DROP, "container router-container has no startupProbe"),
    ("probes", WEBUI, f"{POD} initContainers 0 restartPolicy", "Always", "init container copy-app-data has no startupProbe"),
    ("probes", WEBUI, f"{MAIN} livenessProbe httpGet port", "web", "livenessProbe asks port web, which the container does not name"),
    ("probes", WEBUI, f"{MAIN} livenessProbe", {"tcpSocket": {"port": "web"}}, "livenessProbe asks port web"),
    ("resources", ENGINE, f"{MAIN} resources requests cpu", DROP, "container vllm has no resources.requests.cpu"),
    ("resources", ENGINE, f"{MAIN} resources requests memory", DROP, "container vllm has no resources.requests.memory"),
    ("resources", ENGINE, f"{MAIN} resources limits memory", DROP, "container vllm has no resources.limits.memory"),
    ("resources", ENGINE, f"{MAIN} resources limits memory", "31Gi", "container vllm: resources.requests.memory is more than the limit"),
    ("resources", ENGINE, f"{MAIN} resources limits cpu", "7999m", "container vllm: resources.requests.cpu is more than the limit"),
    ("resources", ENGINE, f"{MAIN} resources limits memory", "64 Gi", "container vllm: resources: '64 Gi' is no quantity"),
    ("resources", ENGINE, f"{MAIN} resources limits nvidia.com/gpu", "2", "of nvidia.com/gpu request and limit must be equal"),
    ("resources", ENGINE, f"{MAIN} resources limits nvidia.com/gpu", DROP, "of nvidia.com/gpu request and limit must be equal"),
    ("resources", TEST, "spec containers 0 resources", DROP, "container chat has no resources.limits.memory"),
    ("baseline", WEBUI, f"{POD} hostNetwork", True, "hostNetwork is true"),
    ("baseline", TEST, "spec hostPID", True, "hostPID is true"),
    ("baseline", WEBUI, f"{POD} hostIPC", True, "hostIPC is true"),
    ("baseline", WEBUI, f"{POD} volumes +", {"name": "x", "hostPath": {"path": "/"}}, "volume x is a path of the node"),
    ("baseline", WEBUI, f"{POD} securityContext sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctl kernel.msgmax"),
    ("baseline", WEBUI, "spec template metadata annotations", {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}, "is unconfined"),
    ("baseline", ENGINE, f"{MAIN} securityContext privileged", True, "container vllm is privileged"),
    ("baseline", WEBUI, f"{POD} initContainers 0 securityContext privileged", True, "init container copy-app-data is privileged"),
    ("baseline", ENGINE, f"{MAIN} securityContext capabilities", {"add": ["SYS_ADMIN"]}, "container vllm adds capability SYS_ADMIN"),
    ("baseline", ENGINE, f"{MAIN} securityContext appArmorProfile", {"type": "Unconfined"}, "container vllm: AppArmor is Unconfined"),
    ("baseline", WEBUI, f"{POD} securityContext seccompProfile type", "Unconfined", "pod: seccomp is Unconfined"),
    ("baseline", WEBUI, f"{POD} securityContext seLinuxOptions", {"user": "root"}, "pod: SELinux options"),
    ("baseline", ENGINE, f"{MAIN} securityContext procMount", "Unmasked", "container vllm: procMount is Unmasked"),
    ("baseline", WEBUI, f"{MAIN} ports 0 hostPort", 8080, "container open-webui takes port 8080 of the node"),
    ("baseline", WEBUI, f"{MAIN} livenessProbe httpGet host", "10.0.0.1", "container open-webui: a probe or lifecycle hook names a host"),
    ("restricted", WEBUI, f"{POD} volumes +", {"name": "x", "nfs": {"server": "a", "path": "/"}}, "volume x is of type nfs"),
    ("restricted", WEBUI, f"{POD} securityContext runAsUser", 0, "pod runs as user 0"),
    ("restricted", TEST, "spec containers 0 securityContext runAsUser", 0, "container chat runs as user 0"),
    ("restricted", TEST, "spec containers 0 securityContext allowPrivilegeEscalation", DROP, "container chat: allowPrivilegeEscalation is not false"),
    ("restricted", WEBUI, f"{POD} securityContext runAsNonRoot", DROP, "container open-webui: runAsNonRoot is not true"),
    ("restricted", WEBUI, f"{MAIN} securityContext runAsNonRoot", False, "container open-webui: runAsNonRoot is not true"),
    ("restricted", WEBUI, f"{POD} securityContext seccompProfile", DROP, "seccompProfile is neither RuntimeDefault nor Localhost"),
    ("restricted", WEBUI, f"{POD} initContainers 0 securityContext capabilities", DROP, "init container copy-app-data does not drop ALL capabilities"),
    ("restricted", WEBUI, f"{MAIN} securityContext capabilities add", ["CHOWN"], "container open-webui adds capability CHOWN"),
    ("images", WEBUI, f"{MAIN} image", "ghcr.io/open-webui/open-webui", "has neither tag nor digest"),
    ("images", WEBUI, f"{MAIN} image", "registry:5000/open-webui", "has neither tag nor digest"),
    ("images", WEBUI, f"{MAIN} image", "", "has neither tag nor digest"),
    ("images", WEBUI, f"{MAIN} image", "ghcr.io/open-webui/open-webui:main", "is another one tomorrow"),
    ("images", TEST, "spec containers 0 image", "registry:5000/open-webui:latest", "is another one tomorrow"),
    ("images", WEBUI, f"{POD} initContainers 0 image", "busybox:1.37.0", "image busybox:1.37.0 is not in tests/images.yaml"),
    ("images", WEBUI, f"{MAIN} image", "a/b@sha256:" + "0" * 64, "is not in tests/images.yaml"),
    ("secrets", ENVIRONMENT, "data OPENAI_API_KEY", "sk-123", "data.OPENAI_API_KEY: OPENAI_API_KEY has a value in plain text"),
    ("secrets", ENGINE, f"{MAIN} env +", {"name": "HF_TOKEN", "value": "hf_123"}, "env.HF_TOKEN.value: HF_TOKEN has a value in plain text"),
    ("secrets", ENVIRONMENT, "data DATABASE_URL", "postgres://chat:pw@db/chat", "data.DATABASE_URL has a password in an address"),
    ("secrets", ENVIRONMENT, "data REDIS_URL", "redis://:pw@redis:6379/0", "data.REDIS_URL has a password in an address"),
    ("secrets", ENVIRONMENT, "data REDIS_URL", "redis://:$(REDIS_PW)@redis:6379/0", None),
    ("secrets", ENGINE, f"{MAIN} command +", "--api-key=abc", "container vllm: --api-key has its value on the command line"),
    ("secrets", ENGINE, f"{MAIN} args", ["--hf-token", "abc"], "container vllm: --hf-token has its value on the command line"),
    ("secrets", ENGINE, f"{MAIN} command", ["sh", "-c", "vllm serve x --api-key abc"], "--api-key has its value on the command line"),
    ("secrets", ENGINE, f"{MAIN} args", ["--api-key", "$(VLLM_API_KEY)", "--token", "--secret"], None),
    ("secrets", "Secret/chat-secrets", "data", {"a": "Z3B0LW9zcy0xMjBi"}, "data.DEFAULT_MODELS holds the value of Secret/chat-secrets a"),
    ("secrets", "Secret/chat-secrets", "stringData", {"a": "gpt-oss-120b"}, "data.DEFAULT_MODELS holds the value of Secret/chat-secrets a"),
    ("names", SERVICE, "metadata name", "x" * 64, "metadata.name has 64 characters, and 63 are allowed"),
    ("names", SERVICE, "metadata name", "1-chat", "metadata.name is '1-chat', which Kubernetes does not take"),
    ("names", WEBUI, "metadata name", "Chat", "metadata.name is 'Chat'"),
    ("names", WEBUI, "metadata name", "x" * 254, "metadata.name has 254 characters"),
    ("names", ROLE, "metadata name", "a/b", "metadata.name is 'a/b'"),
    ("names", ROLE, "metadata name", "system:A", None),
    ("names", "+", "", added("batch/v1", "CronJob", metadata={"name": "x" * 53}, spec={"jobTemplate": {"spec": {"template": {"spec": {}}}}}), "52 are allowed"),
    ("names", "+", "", added("v1", "Service", metadata={"name": "chat-open-webui"}, spec={}), "2 objects are called this"),
    ("names", WEBUI, "spec template metadata labels x", "y" * 64, "spec.template.metadata.labels.x has 64 characters"),
    ("names", WEBUI, "metadata labels x", "a b", "metadata.labels.x is 'a b'"),
    ("names", WEBUI, "metadata labels a/b/c", "x", "metadata.labels: the prefix of the key is 'a/b'"),
    ("names", WEBUI, "spec selector matchLabels -x", "y", "spec.selector.matchLabels: the key is '-x'"),
    ("names", SERVICE, "spec selector x", "y_", "spec.selector.x is 'y_'"),
    ("names", ENGINE, f"{POD} nodeSelector", {"gpu": "H100 80"}, "nodeSelector.gpu is 'H100 80'"),
    ("names", WEBUI, "metadata annotations", {"x" * 64: ""}, "metadata.annotations: the key has 64 characters"),
    ("names", WEBUI, "metadata annotations", {"x": "y" * 2**18}, "metadata.annotations are more than 256 KiB"),
    ("names", ENVIRONMENT, "data a/b", "", "data.a/b is 'a/b'"),
    ("names", SERVICE, "spec ports 0 name", "Http", "spec.ports: name is 'Http'"),
    ("names", SERVICE, "spec ports 0 targetPort", "sixteen-letters-", "spec.ports: targetPort has 16 characters"),
    ("names", ENGINE, f"{POD} hostname", "x" * 64, "hostname has 64 characters"),
    ("names", ENGINE, f"{POD} subdomain", "a.b", "subdomain is 'a.b'"),
    ("names", WEBUI, f"{POD} volumes 0 name", "a_b", "volumes: name is 'a_b'"),
    ("names", WEBUI, f"{MAIN} name", "a.b", "containers: name is 'a.b'"),
    ("names", WEBUI, f"{MAIN} ports 0 name", "8080", "container open-webui: ports: name is '8080'"),
    ("names", WEBUI, f"{MAIN} env 0 name", "A B", "container open-webui: env: name is 'A B'"),
    ("replicas", "+", "", scaler("chat-open-webui"), "spec.replicas is set, and HorizontalPodAutoscaler/planted scales it"),
    ("replicas", "+", "", added("keda.sh/v1alpha1", "ScaledObject", spec={"scaleTargetRef": {"name": "chat-deployment-router"}}), "ScaledObject/planted"),
    ("namespace", WEBUI, "metadata namespace", "default", "metadata.namespace is default, and the release is in chat"),
    ("namespace", "CustomResourceDefinition/*", "metadata namespace", "chat", "no namespace holds a CustomResourceDefinition"),
    ("labels", WEBUI, "metadata labels", DROP, "metadata.labels: no app.kubernetes.io/name, app.kubernetes.io/instance, app.kubernetes.io/managed-by"),
    ("labels", POLICY, "metadata labels app.kubernetes.io/managed-by", "", "metadata.labels: no app.kubernetes.io/managed-by"),
    ("labels", POLICY, "metadata labels app.kubernetes.io/instance", "other", "app.kubernetes.io/instance is other, and the release chat"),
    ("tokens", TEST, "spec automountServiceAccountToken", DROP, "automountServiceAccountToken is not false, and no role is bound to account default"),
    ("tokens", WEBUI, f"{POD} automountServiceAccountToken", True, "no role is bound to account chat-open-webui-sa"),
    ("tokens", BINDING, "subjects", [], "no role is bound to account chat-router-service-account"),
    ("tokens", ROUTER, f"{POD} automountServiceAccountToken", False, "a role is bound to account chat-router-service-account, and its token is not mounted"),
    ("hooks", TEST, "metadata annotations helm.sh/hook", "tests", "helm.sh/hook is 'tests'; Helm knows pre-install"),
    ("hooks", TEST, "metadata annotations helm.sh/hook-delete-policy", "hook-success", "'hook-success'; Helm knows before-hook-creation"),
    ("hooks", "PersistentVolumeClaim/*-storage-claim", "metadata annotations helm.sh/resource-policy", "Keep", "helm.sh/resource-policy is 'Keep'"),
    ("hooks", TEST, "metadata annotations helm.sh/hook-weight", "first", "helm.sh/hook-weight is 'first', which is no number"),
    ("hooks", WEBUI, "metadata annotations", {"helm.sh/hook-weight": "1"}, "helm.sh/hook-weight without helm.sh/hook"),
    ("hooks", "ConfigMap/*-test-chat", "metadata annotations helm.sh/hook-weight", DROP, "ConfigMap/chat-test-chat has weight 0 and this 0: it must be less"),
    ("hooks", "ConfigMap/*-test-chat", "metadata annotations helm.sh/hook", "post-install", "is there for post-install alone, and this runs for test"),
    ("hooks", TEST, "metadata annotations", {}, "ConfigMap/chat-test-chat is a hook, which comes and goes, and this is none (volume test)"),
]


def changed(objects: tuple[Object, ...], glob: str, path: str, value: object) -> tuple[Object, ...]:
    """The objects with the defect in a copy of the one that the glob names."""
    if glob == "+":
        return (*objects, Object("scout-chat", value))
    (target,) = [item for item in objects if fnmatchcase(f"{item.kind}/{item.name}", glob)]
    body = node = deepcopy(target.body)
    *way, last = path.split()
    for key in way:
        node = _item(node, key) if isinstance(node, list) else node.setdefault(key, {})
    if value is DROP:
        del node[last]
    elif last == "+":
        node.append(value)
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return tuple(Object(item.chart, body) if item is target else item for item in objects)


def _item(items: list, key: str) -> dict:
    return items[int(key)] if key.isdigit() else next(item for item in items if item["name"] == key)


def found_anew(rule: str, glob: str, path: str, value: object) -> list[str]:
    """What the rule says of the planted defect, and did not say before."""
    glob, _, name = glob.partition("@")
    case = scenario(name or HOSPITAL)
    planted = Render(case, changed(index(case).objects, glob, path, value))
    return [finding.what for finding in judge(rule, planted) if finding not in findings(rule, case)]


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_planted_defects_are_found(rule: str) -> None:
    """Each under its rule, and not there before; one whose words are None is no defect."""
    missed = []
    for _, glob, path, value, says in [row for row in PLANTED if row[0] == rule]:
        new = found_anew(rule, glob, path, value)
        if not any(says in what for what in new) if says else new:
            missed.append(f"{glob} {path} = {value}: {f'no word of {says!r}' if says else 'is no defect'}, but {new}")
    assert not missed, "\n".join(missed)


def test_every_rule_has_planted_defects() -> None:
    assert {row[0] for row in PLANTED if row[4]} == set(RULES)


@pytest.mark.charts
def test_a_monitor_without_a_fault_is_accepted() -> None:
    clean = index(scenario(HOSPITAL))
    swept = Render(clean.case, (*clean.objects, Object("scout-chat", monitor({"port": "http", "interval": "30s"}))))
    assert judge("archived-schema", swept) == []


@pytest.mark.parametrize(("text", "amount"), [("250m", 0.25), ("1Gi", 2**30), ("2e3", 2000), ("1.5", 1.5), (2, 2), ("64k", 64e3), ("128974848000m", 128974848)])
def test_quantities_are_read_as_kubernetes_does(text: str, amount: float) -> None:
    assert pods.quantity(text) == amount
