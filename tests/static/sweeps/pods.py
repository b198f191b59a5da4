"""Rules about pods: probes, resources, Pod Security, images, tokens."""

import re
from collections.abc import Iterator
from functools import cache

from scout_chat.core import kubeyaml
from scout_chat.core.paths import ROOT
from scout_chat.review.tree import quantity

from tests.static.sweeps.index import Found, Pod, Render

IMAGES = ROOT / "tests" / "images.yaml"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def probes(render: Render) -> Iterator[Found]:
    """A container that runs for long is waited for, taken out and started again by the kubelet; a port that a probe names exists."""
    for pod in render.pods:
        for name, part in pod.long_running:
            for probe in PROBES:
                if probe not in part:
                    yield pod.owner, f"{name} has no {probe}"
        for name, part in pod.containers:
            ports = [entry.get("name") for entry in part.get("ports") or []]
            for probe in PROBES:
                for action in ("httpGet", "tcpSocket"):
                    port = ((part.get(probe) or {}).get(action) or {}).get("port")
                    if isinstance(port, str) and port not in ports:
                        yield pod.owner, f"{name}: {probe} asks port {port}, which the container does not name"


def resources(render: Render) -> Iterator[Found]:
    """Each container says what it needs and when it is stopped, so that a full node stops the right one."""
    for pod in render.pods:
        for name, part in pod.containers:
            requests, limits = ((part.get("resources") or {}).get(key) or {} for key in ("requests", "limits"))
            for missing in [f"{key}.{unit}" for key, units in (("requests", ("cpu", "memory")), ("limits", ("memory",))) for unit in units]:
                key, unit = missing.split(".")
                if unit not in {"requests": requests, "limits": limits}[key]:
                    yield pod.owner, f"{name} has no resources.{missing}"
            amounts = {unit: (quantity(requests[unit]), quantity(limits[unit])) for unit in requests.keys() & limits.keys()}
            for unit, (request, limit) in sorted(amounts.items()):
                if request is None or limit is None:
                    yield pod.owner, f"{name}: resources: {requests[unit] if request is None else limits[unit]!r} is no quantity"
                elif request > limit:
                    yield pod.owner, f"{name}: resources.requests.{unit} is more than the limit"
            for unit in sorted(requests.keys() | limits.keys()):
                if "/" in unit and requests.get(unit, limits.get(unit)) != limits.get(unit):
                    yield pod.owner, f"{name}: resources: of {unit} request and limit must be equal"


# Pod Security Standards, kubernetes.io/docs/concepts/security/pod-security-standards (1.36). Windows is left out.
CAPABILITIES = re.compile("AUDIT_WRITE|CHOWN|DAC_OVERRIDE|FOWNER|FSETID|KILL|MKNOD|NET_BIND_SERVICE|SETFCAP|SETGID|SETPCAP|SETUID|SYS_CHROOT")
SYSCTLS = re.compile(
    r"kernel\.shm_rmid_forced|net\.ipv4\.(ip_local_port_range|ip_unprivileged_port_start|tcp_syncookies|ping_group_range|ip_local_reserved_ports"
    r"|tcp_keepalive_time|tcp_fin_timeout|tcp_keepalive_intvl|tcp_keepalive_probes|tcp_rmem|tcp_wmem)"
)
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
PROFILES = ("RuntimeDefault", "Localhost")


def baseline(render: Render) -> Iterator[Found]:
    """Pod Security, level baseline: nothing of the node's, no known way up to it."""
    for pod in render.pods:
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


def _contexts(pod: Pod) -> list[tuple[str, dict]]:
    return [(name, holder.get("securityContext") or {}) for name, holder in [("pod", pod.spec), *pod.containers]]


def _baseline_context(name: str, context: dict) -> Iterator[str]:
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


def restricted(render: Render) -> Iterator[Found]:
    """Pod Security, level restricted, beyond baseline: no root, no way to become it."""
    for pod in render.pods:
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
                if added != "NET_BIND_SERVICE" and CAPABILITIES.fullmatch(added):  # baseline tells of the rest
                    yield pod.owner, f"{name} adds capability {added}"


def images_of(render: Render) -> set[str]:
    used = {part.get("image") or "" for pod in render.pods for _, part in pod.containers}
    return used | {volume["image"]["reference"] for pod in render.pods for volume in pod.spec.get("volumes") or [] if "image" in volume}


@cache
def reviewed_images() -> list[str]:
    return kubeyaml.load(IMAGES.read_text())


def images(render: Render) -> Iterator[Found]:
    """Each image is a release or a digest, and in the reviewed list: the list is what an air-gapped site has to carry.

    Under a registry of the site's own, each image comes from there, by its name without the public registry.
    """
    site = kubeyaml.load(render.case.extra or "{}").get("global", {}).get("imageRegistry", "")
    reviewed = {f"{site}/{image.removeprefix('ghcr.io/')}" for image in reviewed_images()} if site else set(reviewed_images())
    for pod in render.pods:
        for name, part in pod.containers:
            image = part.get("image") or ""
            if not re.fullmatch(r"[^:@\s]+(:\d+/[^:@\s]+)?(:[\w][\w.-]*)?@sha256:[0-9a-f]{64}|[^:@\s]+(:\d+/[^:@\s]+)?:[\w][\w.-]*", image):
                yield pod.owner, f"{name}: image {image!r} has neither tag nor digest"
            elif re.search(r":(latest|main|master|nightly|dev|edge|stable)$", image):
                yield pod.owner, f"{name}: image {image} is another one tomorrow"
            elif image not in reviewed:
                yield pod.owner, f"{name}: image {image} is not in tests/images.yaml"


def tokens(render: Render) -> Iterator[Found]:
    """A pod has a key to the Kubernetes API only where a role is bound to its account; then it must have one."""
    bindings = render.of("RoleBinding", "ClusterRoleBinding")
    bound = {subject["name"] for item in bindings for subject in item.body.get("subjects") or [] if subject["kind"] == "ServiceAccount"}
    for pod in render.pods:
        account = pod.spec.get("serviceAccountName", "default")
        held = (render.get("ServiceAccount", account) or {}).get("automountServiceAccountToken")
        mounted = pod.spec.get("automountServiceAccountToken", True if held is None else held)
        if mounted and account not in bound:
            yield pod.owner, f"automountServiceAccountToken is not false, and no role is bound to account {account}"
        if not mounted and account in bound:
            yield pod.owner, f"a role is bound to account {account}, and its token is not mounted"
