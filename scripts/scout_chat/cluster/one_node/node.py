"""A Kubernetes of one node on this Linux machine, as root: genuine components, images from package registries, no container engine.

``up`` may be interrupted or killed at any point, and so may the node: the next ``up`` starts what is missing over what is left,
and ``down`` takes everything away. One node a machine: its addresses and iptables chains are the machine's.

Pods see cluster names only (the node forwards no DNS queries), so nothing that runs here reaches out by accident.
"""

import json
import os
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from scout_chat.cluster import host
from scout_chat.cluster.pki import Authority
from scout_chat.cluster.processes import Processes, stop
from scout_chat.core.command import install_packages, run
from scout_chat.core.errors import UserError
from scout_chat.core.paths import ROOT
from scout_chat.core.progress import Reporter, silent
from scout_chat.core.tools import arch, tool
from scout_chat.images import weights
from scout_chat.images.archive import BASE, PAUSE, node_store
from scout_chat.images.archive import archive as image_archive

STATE = Path("/var/lib/scout-chat/node")
RUN = Path("/run/scout-chat")
CGROUP = "scout-chat"
BRIDGE, POD_BRIDGE = "scout-node0", "scout-pods0"
ALIAS = "scout-chat"
CNI_NETWORK = "scout-chat"
NODE = "scout-chat"
IP = "172.30.0.1"
PODS, SERVICES = "10.244.0.0/24", "10.96.0.0/16"
API = f"https://{IP}:6443"
ETCD = "https://127.0.0.1:23790"
CHAT_PORT = 30080
DISK_GIB = 3  # images unpacked, etcd and volumes; runtimes and weights are checked where they are installed

COMMANDS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
TOOLS = [
    "containerd", "containerd-shim-runc-v2", "ctr", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
    "kubelet", "kube-proxy", "kubectl", "coredns", "local-path-provisioner", "kwok",
]  # fmt: skip
PORTS = {
    "etcd": [("127.0.0.1", 23790), ("127.0.0.1", 23800)],
    "kube-apiserver": [(IP, 6443)],
    "kube-controller-manager": [("127.0.0.1", 10257)],
    "kube-scheduler": [("127.0.0.1", 10259)],
    "coredns": [(IP, 53)],
    "kubelet": [(IP, 10250), ("127.0.0.1", 10248)],
    "kube-proxy": [("127.0.0.1", 10249), ("127.0.0.1", 10256)],
}


def kubeconfig() -> Path:
    """The administrator's kubeconfig; it exists while the node is up."""
    return STATE / "admin.kubeconfig"


def chat_url() -> str:
    """Where a NodePort Service of the chat answers, from this machine alone."""
    return f"http://{IP}:{CHAT_PORT}"


def get_tools(progress: Reporter = silent) -> dict[str, str]:
    """The node's programs, name to path; Debian packages for what the machine lacks. Built from source this takes minutes, once."""
    if arch() != "amd64":
        raise UserError(f"the one-node cluster is built for amd64, and this machine is {arch()}", "Start a Docker engine; kind is used then.")
    install_packages(COMMANDS)
    return {name: tool(name, progress) for name in [*TOOLS, "helm"]}


# What ``up`` needs and a progress display wants apart, in order; each is done once a machine.
PREPARATIONS = {"tools": get_tools, "images": image_archive, "weights": weights.hub_store}


def up(progress: Reporter = silent) -> None:
    """The node Ready, its images imported, a default StorageClass there. Raises UserError if it cannot be."""
    with _locked():
        _refuse_foreign_node()
        binaries = get_tools(progress)
        archive, store = image_archive(progress), node_store(progress)
        weights.hub_store(progress)
        if shutil.disk_usage(_existing(STATE)).free < DISK_GIB << 30:
            raise UserError(f"the node needs {DISK_GIB} GiB under {STATE}; there is less free")
        _take_over_leftovers()
        fresh = not STATE.exists()
        try:
            processes = _claim(binaries)
        except UserError:
            # A node that was here before keeps what it has; a refused first start leaves no trace.
            if fresh:
                _clean(progress)
            raise
        host.create_cgroup(CGROUP)
        pki = _certificates()
        progress("containerd and control plane")
        _containerd(processes, store)
        _control_plane(processes, pki)
        progress("images")
        _import(archive)
        progress("kubelet")
        _node(processes, pki)
        _addons(processes, progress)


def down(progress: Reporter = silent) -> None:
    """Nothing of the node is left: processes, mounts, interfaces, iptables chains, network namespaces, cgroups, files."""
    with _locked():
        _clean(progress)


def status() -> dict[str, str]:
    """Process name to ``running`` or ``stopped``; empty if no node was started."""
    if not STATE.exists():
        return {}
    processes = Processes(STATE, {})
    return {name: "running" if processes.alive(name) else "stopped" for name in processes.names()}


def owner() -> str:
    """The checkout that started the node; empty if there is none."""
    file = STATE / "owner"
    return file.read_text().strip() if file.exists() else ""


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    return run(tool("kubectl"), f"--kubeconfig={kubeconfig()}", *arguments, stdin=stdin, check=check)


def _locked() -> AbstractContextManager:
    """Held while the node changes. Raises UserError if another command holds it."""
    RUN.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(RUN / "node.lock").acquire(timeout=1)
    except Timeout:
        raise UserError("another command is bringing the node up or down", "Wait for it, then run this again.") from None


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _running() -> list[str]:
    return [name for name, state in status().items() if state == "running"]


def _refuse_foreign_node() -> None:
    """Two checkouts must not share a node without knowing, and another Kubernetes must not lose its rules."""
    if _running() and owner() != str(ROOT):
        raise UserError(
            f"a node that {owner()} started is up on this machine, and there can be one",
            f"Take it down first: cd {owner()} && make chat-down",
        )
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, command = (folder / "comm").read_text().strip(), (folder / "cmdline").read_text()
            # Containers of kind have kubelets too, in network namespaces of their own.
            same_network = os.readlink(folder / "ns/net") == os.readlink("/proc/self/ns/net")
        except OSError:
            continue
        if name.startswith(("kubelet", "kube-proxy")) and same_network and str(STATE) not in command:
            raise UserError(f"this machine is already a Kubernetes node ({name}, pid {folder.name})", "Install on its cluster, or use another machine.")


def _take_over_leftovers() -> None:
    """A node whose checkout is another, or whose processes are all gone with a half-written state, starts afresh."""
    if STATE.exists() and owner() != str(ROOT):
        _clean(silent)


def _processes(binaries: dict[str, str]) -> Processes:
    """Components find each other (containerd its shim) by their plain names in one folder."""
    folder = STATE / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in binaries.items():
        link = folder / name
        if not link.is_symlink() or os.readlink(link) != path:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    return Processes(STATE, os.environ | {"PATH": f"{folder}:{os.environ['PATH']}:/usr/sbin:/sbin"})


def _claim(binaries: dict[str, str]) -> Processes:
    """The state folder, the address and the ports, or a UserError that names who has them."""
    STATE.mkdir(parents=True, exist_ok=True)
    (STATE / "owner").write_text(f"{ROOT}\n")
    processes = _processes(binaries)
    free = [port for name, ports in PORTS.items() if not processes.alive(name) for port in ports]
    host.check_ports_free([port for port in free if port[0] != IP])
    _network()
    host.check_ports_free([port for port in free if port[0] == IP])
    return processes


def _network() -> None:
    host.check_ranges_free([f"{IP}/32", PODS, SERVICES], own=(BRIDGE, POD_BRIDGE))
    host.interface(BRIDGE, ALIAS, f"{IP}/32")
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    before = STATE / "ip_forward.before"
    if not before.exists():
        before.write_text(forward.read_text())
    forward.write_text("1")
    # Without it a pod's answer to a pod on the same bridge bypasses the translation of the Service's address.
    bridged = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not bridged.exists():
        run("modprobe", "br_netfilter", check=False)
    if bridged.exists():
        bridged.write_text("1")


def _certificates() -> Authority:
    pki = Authority(STATE / "pki")
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost")
    pki.issue("apiserver", "kube-apiserver", hosts=(*names, IP, "127.0.0.1", SERVICES.replace(".0/16", ".1")))
    pki.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters")
    pki.issue("etcd", "etcd", hosts=("localhost", "127.0.0.1"))
    pki.issue("kubelet-server", f"system:node:{NODE}", "system:nodes", hosts=(NODE, IP))
    pki.service_account_key()
    for name, user, group in [
        ("admin", "kubernetes-admin", "system:masters"),
        ("controller-manager", "system:kube-controller-manager", ""),
        ("scheduler", "system:kube-scheduler", ""),
        ("kubelet", f"system:node:{NODE}", "system:nodes"),
        ("kube-proxy", "system:kube-proxy", ""),
    ]:
        pki.kubeconfig(STATE / f"{name}.kubeconfig", API, name, user, group)
    return pki


def _containerd(processes: Processes, store: Path) -> None:
    socket = RUN / "containerd.sock"
    runtimes = "io.containerd.cri.v1.runtime"
    # The CNI configuration and containerd's are read at its start.
    _write("cni/10-pods.conflist", json.dumps(_cni()))
    spec = json.loads(run(str(STATE / "bin/ctr"), "oci", "spec"))
    # The images' Python packages and the weights come from one read-only folder of the node: six gigabytes that no image
    # layer repeats. As a GPU driver does, the node mounts it into every container.
    spec["mounts"].append({"destination": "/opt/scout-chat", "type": "bind", "source": str(store), "options": ["rbind", "ro"]})
    spec["process"].pop("rlimits", None)
    _write("base-spec.json", json.dumps(spec))
    _write(
        "containerd.toml",
        f"""version = 3
root = '{STATE}/containerd'
state = '{RUN}/containerd'
[grpc]
  address = '{socket}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE}'
[plugins.'{runtimes}']
  # Where the capability to lower a score is missing.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins.'{runtimes}'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  base_runtime_spec = '{STATE}/base-spec.json'
[plugins.'{runtimes}'.containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins.'{runtimes}'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '{STATE}/cni'
""",
    )
    processes.start("containerd", "containerd", "--config", STATE / "containerd.toml")
    processes.wait("containerd", lambda: _succeeds(*_ctr(), "version"), 30)


def _cni() -> dict:
    ipam = {"type": "host-local", "dataDir": f"{RUN}/ipam", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": POD_BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}


def _control_plane(processes: Processes, pki: Authority) -> None:
    certs = pki.folder
    service_account = certs / "service-account.key"
    processes.start(
        "etcd", "etcd", "--data-dir", STATE / "etcd", "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD,
        "--listen-peer-urls", "http://127.0.0.1:23800", "--initial-advertise-peer-urls", "http://127.0.0.1:23800", "--initial-cluster", "default=http://127.0.0.1:23800",
        "--cert-file", certs / "etcd.crt", "--key-file", certs / "etcd.key", "--client-cert-auth", "--trusted-ca-file", pki.cert_file,
        # The node lives hours, not years: a machine's crash may lose it, a process's death may not.
        "--unsafe-no-fsync", "--log-level", "warn",
    )  # fmt: skip
    processes.start(
        "kube-apiserver", "kube-apiserver", "--bind-address", IP, "--advertise-address", IP, "--secure-port", "6443",
        "--etcd-servers", ETCD, "--etcd-cafile", pki.cert_file, "--etcd-certfile", certs / "etcd.crt", "--etcd-keyfile", certs / "etcd.key",
        "--tls-cert-file", certs / "apiserver.crt", "--tls-private-key-file", certs / "apiserver.key", "--client-ca-file", pki.cert_file,
        "--kubelet-client-certificate", certs / "apiserver-kubelet.crt", "--kubelet-client-key", certs / "apiserver-kubelet.key",
        "--kubelet-certificate-authority", pki.cert_file, "--kubelet-preferred-address-types", "InternalIP",
        "--service-account-key-file", service_account, "--service-account-signing-key-file", service_account,
        "--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", SERVICES,
        "--authorization-mode", "Node,RBAC", "--allow-privileged",
    )  # fmt: skip
    processes.wait("etcd", lambda: processes.alive("etcd"), 5)
    processes.wait("kube-apiserver", lambda: _succeeds(*_kubectl(), "get", "--raw", "/readyz"), 90)
    processes.start(
        "kube-controller-manager", "kube-controller-manager", "--kubeconfig", STATE / "controller-manager.kubeconfig", "--bind-address", "127.0.0.1",
        "--leader-elect=false", "--use-service-account-credentials", "--service-account-private-key-file", service_account,
        # Pods trust the API server by this file.
        "--root-ca-file", pki.cert_file,
        # Twenty requests a second, the default, is what a test of two hundred pods would wait for.
        "--kube-api-qps", "200", "--kube-api-burst", "400",
    )  # fmt: skip
    processes.start("kube-scheduler", "kube-scheduler", "--kubeconfig", STATE / "scheduler.kubeconfig", "--bind-address", "127.0.0.1", "--leader-elect=false")
    _write("Corefile", f".:53 {{\n  bind {IP}\n  kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {kubeconfig()}\n  }}\n  cache 5\n}}\n")
    processes.start("coredns", "coredns", "-conf", STATE / "Corefile")


def _node(processes: Processes, pki: Authority) -> None:
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(pki.cert_file)}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.folder / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki.folder / "kubelet-server.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": f"unix://{RUN}/containerd.sock",
        "clusterDNS": [IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "address": IP,
        "healthzBindAddress": "127.0.0.1",
        # An evicted image could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podLogsDir": f"{STATE}/podlogs",
    }
    _write("kubelet.yaml", yaml.safe_dump(configuration))
    processes.start(
        "kubelet", "kubelet", "--config", STATE / "kubelet.yaml", "--kubeconfig", STATE / "kubelet.kubeconfig", "--root-dir", STATE / "kubelet",
        "--hostname-override", NODE, "--node-ip", IP,
    )  # fmt: skip
    processes.start(
        "kube-proxy", "kube-proxy", "--kubeconfig", STATE / "kube-proxy.kubeconfig", "--hostname-override", NODE, "--cluster-cidr", PODS,
        "--proxy-mode", "iptables", "--nodeport-addresses", f"{IP}/32", "--conntrack-max-per-core", "0",
        "--conntrack-tcp-timeout-established", "0", "--conntrack-tcp-timeout-close-wait", "0",
        "--metrics-bind-address", "127.0.0.1:10249", "--healthz-bind-address", "127.0.0.1:10256",
    )  # fmt: skip


def _addons(processes: Processes, progress: Reporter) -> None:
    manifest = yaml.safe_dump_all(_storage())
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    processes.start(
        "local-path-provisioner", "local-path-provisioner", "start", "--kubeconfig", kubeconfig(), "--namespace", "local-path-storage",
        "--helper-image", BASE, "--service-account-name", "default",
    )  # fmt: skip
    # Fake nodes (annotation kwok.x-k8s.io/node: fake) and their pods behave as real ones to the scheduler.
    processes.start(
        "kwok", "kwok", "--kubeconfig", kubeconfig(), "--config", Path(__file__).with_name("kwok-stages.yaml"), "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake",
        # Without leases a fake node is taken for lost after fifty seconds.
        "--node-lease-duration-seconds", "40",
    )  # fmt: skip
    progress("node Ready")
    processes.wait("kubelet", lambda: "True" in kubectl("get", "node", NODE, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}", check=False), 60)
    processes.wait("coredns", lambda: _succeeds(*_kubectl(), "-n", "default", "get", "serviceaccount", "default"), 30)


def _storage() -> list[dict]:
    """A default StorageClass: folders on the node, made and removed by short-lived pods."""
    volumes = {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [f"{STATE}/volumes"]}]}
    helper = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"containers": [{"name": "helper-pod", "image": BASE, "imagePullPolicy": "IfNotPresent"}]},
    }
    name, namespace = "local-path-config", "local-path-storage"
    data = {
        "config.json": json.dumps(volumes),
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
        "helperPod.yaml": yaml.safe_dump(helper),
    }
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data},
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "local-path", "annotations": default},
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        },
    ]


def _import(archive: Path) -> None:
    marker = STATE / "images.imported"
    if marker.exists() and marker.read_text() == archive.name:
        return
    run(*_ctr(), "-n", "k8s.io", "images", "import", str(archive))
    marker.write_text(archive.name)


def tag_images(registry: str) -> None:
    """Gives every image of the node's store a second name, as a mirror of ``registry`` would have it."""
    for name in run(*_ctr(), "-n", "k8s.io", "images", "list", "-q").splitlines():
        if "@" not in name and not name.startswith("sha256:"):
            run(*_ctr(), "-n", "k8s.io", "images", "tag", "--force", name, f"{registry}/{name.partition('/')[2]}")


def _ctr() -> list[str]:
    return [str(STATE / "bin/ctr"), "--address", str(RUN / "containerd.sock")]


def _kubectl() -> list[str]:
    return [str(STATE / "bin/kubectl"), f"--kubeconfig={kubeconfig()}", "--request-timeout=5s"]


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _write(name: str, text: str) -> None:
    file = STATE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _clean(progress: Reporter) -> None:
    progress("processes")
    Processes(STATE, {}).stop_all()
    # Shims of containers, and components whose pid file an interruption left unwritten.
    stop(host.processes_with(str(RUN / "containerd.sock")) + host.processes_with(f"{STATE}/"), grace=2)
    progress("pods")
    host.remove_cgroup(CGROUP)
    progress("mounts, interfaces, iptables")
    for folder in (STATE, RUN):
        host.unmount_under(folder)
    host.remove_interface(POD_BRIDGE)
    host.remove_interface(BRIDGE, ALIAS)
    host.remove_chains()
    before = STATE / "ip_forward.before"
    if before.exists():
        Path("/proc/sys/net/ipv4/ip_forward").write_text(before.read_text())
    progress("files")
    shutil.rmtree(STATE, ignore_errors=True)
    _clean_fixed_places()
    for entry in RUN.iterdir() if RUN.exists() else []:
        if entry.name != "node.lock":
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


# Where the kubelet and CNI write whatever they are told.
KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
CNI_RESULTS = Path("/var/lib/cni/results")


def _clean_fixed_places() -> None:
    """This node's files there, and the folders if nothing of another's is in them."""
    for link in Path("/var/log/containers").glob("*.log"):
        if os.readlink(link).startswith(str(STATE)):
            link.unlink()
    for result in CNI_RESULTS.glob(f"{CNI_NETWORK}-*-eth0"):
        sandbox = result.name.removeprefix(f"{CNI_NETWORK}-").removesuffix("-eth0")
        (CNI_RESULTS / f"cni-loopback-{sandbox}-lo").unlink(missing_ok=True)
        result.unlink()
    # No other kubelet runs in this network: up would have refused.
    KUBELET_SOCKET.unlink(missing_ok=True)
    for folder in ("/var/log/containers", KUBELET_SOCKET.parent, KUBELET_SOCKET.parents[1], CNI_RESULTS, CNI_RESULTS.parent, STATE.parent):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
