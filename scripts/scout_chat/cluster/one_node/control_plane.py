"""The control plane: certificates, etcd, the API server, the controller manager, the scheduler and the cluster's DNS."""

from scout_chat.cluster.one_node.layout import API, CHECK_TIMEOUT, ETCD, IP, KUBECONFIG, NODE, SERVICES, STATE, kubectl, succeeds, write
from scout_chat.cluster.pki import Authority
from scout_chat.cluster.processes import Processes


def certificates() -> Authority:
    """Issue every certificate, key and kubeconfig of the node. Existing files stay."""
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


def start(processes: Processes, pki: Authority) -> None:
    """Start what does not run yet, and wait until the API server is ready."""
    certs = pki.folder
    service_account = certs / "service-account.key"
    processes.start(
        "etcd", "etcd", "--data-dir", STATE / "etcd", "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD,
        "--listen-peer-urls", "http://127.0.0.1:23800", "--initial-advertise-peer-urls", "http://127.0.0.1:23800",
        "--initial-cluster", "default=http://127.0.0.1:23800",
        "--cert-file", certs / "etcd.crt", "--key-file", certs / "etcd.key", "--client-cert-auth", "--trusted-ca-file", pki.cert_file,
        # The node lives for hours. It must survive the end of a process, but not a crash of the machine.
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
    processes.wait("kube-apiserver", lambda: succeeds(*kubectl(), CHECK_TIMEOUT, "get", "--raw", "/readyz"), 90)
    processes.start(
        "kube-controller-manager", "kube-controller-manager", "--kubeconfig", STATE / "controller-manager.kubeconfig", "--bind-address", "127.0.0.1",
        "--leader-elect=false", "--use-service-account-credentials", "--service-account-private-key-file", service_account,
        # Pods verify the API server's certificate with this file.
        "--root-ca-file", pki.cert_file,
        # At the default of 20 requests per second, a test with 200 pods would wait for the controller manager.
        "--kube-api-qps", "200", "--kube-api-burst", "400",
    )  # fmt: skip
    processes.start("kube-scheduler", "kube-scheduler", "--kubeconfig", STATE / "scheduler.kubeconfig", "--bind-address", "127.0.0.1", "--leader-elect=false")
    # No forwarding: pods resolve names of the cluster only, so nothing that runs here reaches the internet by name by accident.
    corefile = f".:53 {{\n  bind {IP}\n  kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {KUBECONFIG}\n  }}\n  cache 5\n}}\n"
    processes.start("coredns", "coredns", "-conf", write("Corefile", corefile))
