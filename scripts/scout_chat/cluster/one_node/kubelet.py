"""The programs that run pods: containerd with the assembled images, the kubelet, and kube-proxy."""

import json
from pathlib import Path

import yaml

from scout_chat.cluster.one_node.layout import CGROUP, CNI_NETWORK, IP, NODE, POD_BRIDGE, PODS, RUN, STATE, ctr, succeeds, write
from scout_chat.cluster.pki import Authority
from scout_chat.cluster.processes import Processes
from scout_chat.core.command import run
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.images.archive import PAUSE
from scout_chat.images.store import MOUNT


def start_containerd(processes: Processes, store: Path) -> None:
    """Start containerd and wait until it answers. ``store`` is the host folder that every container sees at /opt/scout-chat."""
    # containerd reads its own and the CNI configuration when it starts.
    write("cni/10-pods.conflist", json.dumps(_cni()))
    spec = json.loads(run(str(STATE / "bin/ctr"), "oci", "spec"))
    # The Python packages (six gigabytes) and the weights are mounted into every container, as a GPU driver's files are, so no image
    # layer repeats them.
    spec["mounts"].append({"destination": MOUNT, "type": "bind", "source": str(store), "options": ["rbind", "ro"]})
    spec["process"].pop("rlimits", None)
    write("base-spec.json", json.dumps(spec))
    runtimes = "io.containerd.cri.v1.runtime"
    configuration = f"""version = 3
root = '{STATE}/containerd'
state = '{RUN}/containerd'
[grpc]
  address = '{RUN}/containerd.sock'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE}'
[plugins.'{runtimes}']
  # Some machines lack the capability (CAP_SYS_RESOURCE) to lower an OOM score.
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
"""
    processes.start("containerd", "containerd", "--config", write("containerd.toml", configuration))
    processes.wait("containerd", lambda: succeeds(*ctr(), "version"), 30)


def import_images(archive: Path) -> None:
    """Import the archive into containerd, unless it was imported before."""
    marker = STATE / "images.imported"
    if marker.exists() and marker.read_text() == archive.name:
        return
    run(*ctr(), "-n", "k8s.io", "images", "import", str(archive))
    marker.write_text(archive.name)


def tag_images(registry: str) -> None:
    """Give every imported image a second name, as a mirror at ``registry`` would have it."""
    for name in run(*ctr(), "-n", "k8s.io", "images", "list", "-q").splitlines():
        if "@" not in name and not name.startswith("sha256:"):
            run(*ctr(), "-n", "k8s.io", "images", "tag", "--force", name, f"{registry}/{name.partition('/')[2]}")


def start(processes: Processes, pki: Authority) -> None:
    """Start the kubelet and kube-proxy."""
    processes.start(
        "kubelet", "kubelet", "--config", write("kubelet.yaml", yaml.safe_dump(_kubelet(pki))), "--kubeconfig", STATE / "kubelet.kubeconfig",
        "--root-dir", STATE / "kubelet", "--hostname-override", NODE, "--node-ip", IP,
    )  # fmt: skip
    processes.start(
        "kube-proxy", "kube-proxy", "--kubeconfig", STATE / "kube-proxy.kubeconfig", "--hostname-override", NODE, "--cluster-cidr", PODS,
        "--proxy-mode", "iptables", "--nodeport-addresses", f"{IP}/32", "--conntrack-max-per-core", "0",
        "--conntrack-tcp-timeout-established", "0", "--conntrack-tcp-timeout-close-wait", "0",
        "--metrics-bind-address", "127.0.0.1:10249", "--healthz-bind-address", "127.0.0.1:10256",
    )  # fmt: skip


def _cni() -> KubeObject:
    ipam = {"type": "host-local", "dataDir": f"{RUN}/ipam", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": POD_BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}


def _kubelet(pki: Authority) -> KubeObject:
    return {
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
        # Never remove an image: there is no registry to pull it from again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podLogsDir": f"{STATE}/podlogs",
    }
