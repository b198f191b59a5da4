"""Proves: every pod keeps to the levels baseline and restricted of the Pod Security Standards, except where tests/waivers.yaml says why not.

The rules are those of kubernetes.io/docs/concepts/security/pod-security-standards for Kubernetes 1.36, without the parts for Windows.
"""

import re
from collections.abc import Iterator

from scout_chat.chart.objects import Pod
from scout_chat.chart.render import Case
from scout_chat.core.kubeyaml import KubeObject

from tests.support.object_index import Manifests
from tests.support.objects import one
from tests.support.renders import rendered
from tests.support.rules import DROP, ENGINE, MAIN, POD, TEST, WEBUI, Defect, Found, Rule, assert_found, assert_holds

CAPABILITIES = re.compile("AUDIT_WRITE|CHOWN|DAC_OVERRIDE|FOWNER|FSETID|KILL|MKNOD|NET_BIND_SERVICE|SETFCAP|SETGID|SETPCAP|SETUID|SYS_CHROOT")
SYSCTLS = re.compile(
    r"kernel\.shm_rmid_forced|net\.ipv4\.(ip_local_port_range|ip_unprivileged_port_start|tcp_syncookies|ping_group_range|ip_local_reserved_ports"
    r"|tcp_keepalive_time|tcp_fin_timeout|tcp_keepalive_intvl|tcp_keepalive_probes|tcp_rmem|tcp_wmem)"
)
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
PROFILES = ("RuntimeDefault", "Localhost")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def baseline(manifests: Manifests) -> Iterator[Found]:
    """Check the level baseline: no access to the node, and no known way to get it."""
    for pod in manifests.pods:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(field):
                yield pod.owner, f"{field} is true"
        for volume in pod.spec.get("volumes") or []:
            if "hostPath" in volume:
                yield pod.owner, f"volume {volume['name']} is a path of the node"
        for sysctl in (pod.spec.get("securityContext") or {}).get("sysctls") or []:
            if not SYSCTLS.fullmatch(sysctl["name"]):
                yield pod.owner, f"sysctl {sysctl['name']} is not a safe one"
        for key, value in (pod.metadata.get("annotations") or {}).items():
            if key.startswith("container.apparmor.security.beta.kubernetes.io/") and not re.match("runtime/default$|localhost/|$", value):
                yield pod.owner, f"annotation {key} is {value}"
        yield from ((pod.owner, wrong) for name, context in _contexts(pod) for wrong in _baseline_context(name, context))
        for name, part in pod.containers:
            for port in part.get("ports") or []:
                if port.get("hostPort"):
                    yield pod.owner, f"{name} takes port {port['hostPort']} of the node"
            hooks = (part.get("lifecycle") or {}).values()
            for handler in [*(part.get(probe) or {} for probe in PROBES), *hooks]:
                if any((handler.get(action) or {}).get("host") for action in ("httpGet", "tcpSocket")):
                    yield pod.owner, f"{name}: a probe or lifecycle hook names a host"


def _contexts(pod: Pod) -> list[tuple[str, KubeObject]]:
    return [(name, holder.get("securityContext") or {}) for name, holder in [("pod", pod.spec), *pod.containers]]


def _baseline_context(name: str, context: KubeObject) -> Iterator[str]:
    if context.get("privileged"):
        yield f"{name} is privileged"
    for added in (context.get("capabilities") or {}).get("add") or []:
        if not CAPABILITIES.fullmatch(added):
            yield f"{name} adds capability {added}"
    if (context.get("appArmorProfile") or {}).get("type", PROFILES[0]) not in PROFILES:
        yield f"{name}: AppArmor is {context['appArmorProfile']['type']}"
    if (context.get("seccompProfile") or {}).get("type", PROFILES[0]) not in PROFILES:
        yield f"{name}: seccomp is {context['seccompProfile']['type']}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield f"{name}: SELinux options {selinux}"
    if context.get("procMount", "Default") != "Default":
        yield f"{name}: procMount is {context['procMount']}"


def restricted(manifests: Manifests) -> Iterator[Found]:
    """Check what the level restricted adds to baseline: no root user, and no way to become root."""
    for pod in manifests.pods:
        outer = pod.spec.get("securityContext") or {}
        for volume in pod.spec.get("volumes") or []:
            if kinds := volume.keys() - {"name"} - VOLUMES:
                yield pod.owner, f"volume {volume['name']} is of type {', '.join(kinds)}"
        if outer.get("runAsUser") == 0:
            yield pod.owner, "pod runs as user 0"
        for name, part in pod.containers:
            context = part.get("securityContext") or {}
            if context.get("allowPrivilegeEscalation") is not False:
                yield pod.owner, f"{name}: allowPrivilegeEscalation is not false"
            if context.get("runAsNonRoot", outer.get("runAsNonRoot")) is not True:
                yield pod.owner, f"{name}: runAsNonRoot is not true"
            if context.get("runAsUser") == 0:
                yield pod.owner, f"{name} runs as user 0"
            if (context.get("seccompProfile") or outer.get("seccompProfile") or {}).get("type") not in PROFILES:
                yield pod.owner, f"{name}: seccompProfile is neither RuntimeDefault nor Localhost"
            capabilities = context.get("capabilities") or {}
            if "ALL" not in (capabilities.get("drop") or []):
                yield pod.owner, f"{name} does not drop ALL capabilities"
            for added in capabilities.get("add") or []:
                if added != "NET_BIND_SERVICE" and CAPABILITIES.fullmatch(added):  # baseline reports the others
                    yield pod.owner, f"{name} adds capability {added}"


BASELINE = Rule("baseline", baseline)

BASELINE_DEFECTS: list[Defect] = [
    (WEBUI, f"{POD} hostNetwork", True, "hostNetwork is true"),
    (TEST, "spec hostPID", True, "hostPID is true"),
    (WEBUI, f"{POD} hostIPC", True, "hostIPC is true"),
    (WEBUI, f"{POD} volumes +", {"name": "x", "hostPath": {"path": "/"}}, "volume x is a path of the node"),
    (WEBUI, f"{POD} securityContext sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctl kernel.msgmax"),
    (WEBUI, "spec template metadata annotations", {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}, "is unconfined"),
    (ENGINE, f"{MAIN} securityContext privileged", True, "container vllm is privileged"),
    (WEBUI, f"{POD} initContainers 0 securityContext privileged", True, "init container copy-app-data is privileged"),
    (ENGINE, f"{MAIN} securityContext capabilities", {"add": ["SYS_ADMIN"]}, "container vllm adds capability SYS_ADMIN"),
    (ENGINE, f"{MAIN} securityContext appArmorProfile", {"type": "Unconfined"}, "container vllm: AppArmor is Unconfined"),
    (WEBUI, f"{POD} securityContext seccompProfile type", "Unconfined", "pod: seccomp is Unconfined"),
    (WEBUI, f"{POD} securityContext seLinuxOptions", {"user": "root"}, "pod: SELinux options"),
    (ENGINE, f"{MAIN} securityContext procMount", "Unmasked", "container vllm: procMount is Unmasked"),
    (WEBUI, f"{MAIN} ports 0 hostPort", 8080, "container open-webui takes port 8080 of the node"),
    (WEBUI, f"{MAIN} livenessProbe httpGet host", "10.0.0.1", "container open-webui: a probe or lifecycle hook names a host"),
]


def test_every_pod_keeps_to_the_baseline_standard(case: Case) -> None:
    assert_holds(BASELINE, case)


def test_planted_defects_against_baseline_are_found() -> None:
    assert_found(BASELINE, BASELINE_DEFECTS)


RESTRICTED = Rule("restricted", restricted)

RESTRICTED_DEFECTS: list[Defect] = [
    (WEBUI, f"{POD} volumes +", {"name": "x", "nfs": {"server": "a", "path": "/"}}, "volume x is of type nfs"),
    (WEBUI, f"{POD} securityContext runAsUser", 0, "pod runs as user 0"),
    (TEST, "spec containers 0 securityContext runAsUser", 0, "container chat runs as user 0"),
    (TEST, "spec containers 0 securityContext allowPrivilegeEscalation", DROP, "container chat: allowPrivilegeEscalation is not false"),
    (WEBUI, f"{POD} securityContext runAsNonRoot", DROP, "container open-webui: runAsNonRoot is not true"),
    (WEBUI, f"{MAIN} securityContext runAsNonRoot", False, "container open-webui: runAsNonRoot is not true"),
    (WEBUI, f"{POD} securityContext seccompProfile", DROP, "seccompProfile is neither RuntimeDefault nor Localhost"),
    (WEBUI, f"{POD} initContainers 0 securityContext capabilities", DROP, "init container copy-app-data does not drop ALL capabilities"),
    (WEBUI, f"{MAIN} securityContext capabilities add", ["CHOWN"], "container open-webui adds capability CHOWN"),
]


def test_every_pod_keeps_to_the_restricted_standard(case: Case) -> None:
    assert_holds(RESTRICTED, case)


def test_planted_defects_against_restricted_are_found() -> None:
    assert_found(RESTRICTED, RESTRICTED_DEFECTS)


def test_open_webui_runs_as_non_root(case: Case) -> None:
    pod = one(rendered(case), "Deployment", "-open-webui")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert all(part["securityContext"]["allowPrivilegeEscalation"] is False for part in pod["containers"] + pod["initContainers"])
