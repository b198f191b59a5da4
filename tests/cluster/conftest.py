"""A real node for the whole session, and one release on it at a time.

Files run in alphabetical order and their tests in theirs: they follow a release through its life, so a failed install stops what
builds on it. The node is brought down by the last test, or left with ``SCOUT_CHAT_KEEP_NODE=1`` to look at.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import kubernetes
import pytest
from scout_chat.chart.render import Case
from scout_chat.chat import install, quickstart, readiness
from scout_chat.chat.open_webui import WebUI
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider, choose
from scout_chat.core.tools import tool


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker("cluster")


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    module = choose()
    keep = os.environ.get("SCOUT_CHAT_KEEP_NODE")
    if not keep:
        if "running" in module.status().values():
            pytest.exit("the cluster tests need the node to themselves: make chat-down", returncode=1)
        # What a killed run left is another release's.
        module.down()
    for prepare in module.preparations.values():
        prepare(print)
    module.up()
    # pytest-helm-charts takes the cluster from here.
    os.environ["KUBECONFIG"] = str(module.kubeconfig())
    yield module
    if not keep:
        module.down()


@pytest.fixture(scope="session")
def one_node(provider: Provider) -> None:
    """For tests that run programs from the one-node cluster's store."""
    if provider.name != "one-node":
        pytest.skip("its packages and tiny models are in the store of the one-node cluster alone")


@pytest.fixture(scope="session")
def api(provider: Provider) -> kubernetes.client.CoreV1Api:
    kubernetes.config.load_kube_config(str(provider.kubeconfig()))
    return kubernetes.client.CoreV1Api()


@pytest.fixture(scope="session")
def local(provider: Provider) -> Case:
    """The local preset on a port of the node."""
    return quickstart.local_case(provider.chat_url())


def deploy(case: Case, provider: Provider) -> str:
    """Installs or upgrades and waits as ``make chat`` does. Returns Helm's output."""
    output = install.install(case, provider.kubeconfig())
    readiness.wait_for_pods(Kubectl(provider.kubeconfig(), case.namespace), case, print)
    return output


def signed_in(account: quickstart.Account) -> WebUI:
    """A client of the account's, once the chat lists the model."""
    ui = WebUI(account.url).sign_in(account.email, account.password)
    readiness.wait_for_model(ui, account.model)
    return ui


@contextmanager
def forwarded(provider: Provider, namespace: str, deployment: str, port: int = 8000) -> Iterator[str]:
    """The address of the deployment's port, on a port of this machine."""
    base = [tool("kubectl"), f"--kubeconfig={provider.kubeconfig()}", f"--namespace={namespace}"]
    with subprocess.Popen([*base, "port-forward", f"deployment/{deployment}", f":{port}"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://{re.search(r'127.0.0.1:[0-9]+', process.stdout.readline())[0]}"
        finally:
            process.terminate()


@contextmanager
def own_namespace(provider: Provider, name: str) -> Iterator[Kubectl]:
    """A namespace for a module's own releases, gone with everything in it afterwards. What a killed run left goes first."""
    kubectl = Kubectl(provider.kubeconfig(), name)
    kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait=true")
    kubectl.run("create", "namespace", name)
    try:
        yield kubectl
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false")


def with_sets(case: Case, *sets: str) -> Case:
    return replace(case, sets=(*case.sets, *sets))
