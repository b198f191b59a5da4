"""Install releases for the cluster tests, and reach what runs in them."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from scout_chat.chart.render import Case
from scout_chat.chat import install, readiness
from scout_chat.chat.open_webui import WebUI
from scout_chat.chat.quickstart import Account
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.tools import tool


@contextmanager
def own_namespace(provider: Provider, name: str) -> Iterator[Kubectl]:
    """Create a namespace, yield kubectl in it, and delete it with everything in it.

    Unlike pytest-helm-charts' ``namespace_factory`` this deletes what an interrupted run left there, and does not wait for the
    deletion at the end: the namespace controller looks again only after half of the pods' grace period.
    """
    kubectl = Kubectl(provider.kubeconfig(), name)
    kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait=true")
    kubectl.run("create", "namespace", name)
    try:
        yield kubectl
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false")


def deploy(case: Case, provider: Provider) -> str:
    """Install or upgrade the release and wait for its pods, as ``make chat`` does. Returns Helm's output."""
    output = install.install(case, provider.kubeconfig())
    readiness.wait_for_pods(Kubectl(provider.kubeconfig(), case.namespace), case, print)
    return output


@contextmanager
def installed(case: Case, provider: Provider) -> Iterator[str]:
    """Install the release, yield Helm's output, and uninstall the release, unless a test has done that.

    The next module may use the NodePort as soon as this ends.
    """
    try:
        yield deploy(case, provider)
    finally:
        if Kubectl(provider.kubeconfig(), case.namespace).objects("services", f"app.kubernetes.io/instance={case.release}"):
            install.uninstall(case, provider.kubeconfig())


def signed_in(account: Account) -> WebUI:
    """Return a client that is signed in, once the chat lists the model."""
    ui = WebUI(account.url).sign_in(account.email, account.password)
    readiness.wait_for_model(ui, account.model)
    return ui


@contextmanager
def forwarded(provider: Provider, namespace: str, deployment: str, port: int = 8000) -> Iterator[str]:
    """Forward a free port of this machine to the deployment's ``port``, and yield its address."""
    command = [tool("kubectl"), f"--kubeconfig={provider.kubeconfig()}", f"--namespace={namespace}", "port-forward", f"deployment/{deployment}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = re.search(r"127.0.0.1:[0-9]+", process.stdout.readline())
            assert address, f"kubectl port-forward to {deployment} printed no address"
            yield f"http://{address[0]}"
        finally:
            process.terminate()


def with_sets(case: Case, *sets: str) -> Case:
    """Return the case with more ``--set`` options."""
    return replace(case, sets=(*case.sets, *sets))


def pods_of(kubectl: Kubectl, component: str) -> list[str]:
    """Return the names of a component's pods that are not being deleted."""
    pods = kubectl.objects("pods", f"app.kubernetes.io/component={component}")
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
