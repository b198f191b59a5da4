"""Fixtures of the cluster tier: a real node for the whole session, and a namespace for each module.

The one fixture that modules share is the node. ``provider`` brings it up at the start of every module, so a module may take it down.
Every module installs its releases in its own namespace and removes them at its end. Only one release at a time can have the chat's
NodePort, and only one engine at a time has the two cores. So modules run in any order, but never at the same time.

``pytest tests/cluster/test_affinity.py`` runs one module, and ``--random-order-bucket=module`` of pytest-random-order shuffles the
modules and the tests in them. A module whose tests follow one release through its life, or share an engine that takes a minute to
start, says ``pytestmark = pytest.mark.random_order(disabled=True)``: its own tests then stay in the order of the file.

SCOUT_CHAT_KEEP_NODE=1 uses a node that is up, and leaves it up.

Of pytest-helm-charts the tests take the fixtures below and the functions that wait. Its plugin is off (pyproject.toml): it would load
the cluster clients in the static tier too.
"""

import os
from collections.abc import Iterator

import kubernetes
import pytest
from pytest_helm_charts.fixtures import kube_cluster
from pytest_helm_charts.k8s.fixtures import namespace_factory
from scout_chat.chart.render import Case
from scout_chat.chat import quickstart
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider, choose

from tests.support.releases import own_namespace

__all__ = ["kube_cluster", "namespace_factory"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as ``cluster``."""
    for item in items:
        item.add_marker("cluster")


@pytest.fixture(scope="session")
def session_node() -> Iterator[Provider]:
    """The provider of this machine, prepared. Its node is taken down at the end of the session."""
    provider = choose()
    keep = os.environ.get("SCOUT_CHAT_KEEP_NODE")
    if not keep:
        if "running" in provider.status().values():
            pytest.exit("the cluster tests need the node to themselves: make chat-down", returncode=1)
        # An interrupted run may have left a node with its releases.
        provider.down()
    for prepare in provider.preparations.values():
        prepare(print)
    yield provider
    if not keep:
        provider.down()


@pytest.fixture(scope="module")
def provider(session_node: Provider) -> Provider:
    """The session's node, up. The module before may have taken it down."""
    if set(session_node.status().values()) != {"running"}:
        session_node.up()
    return session_node


@pytest.fixture(scope="module")
def one_node(provider: Provider) -> None:
    """Skip the test on kind: it needs packages or models from the one-node cluster's store."""
    if provider.name != "one-node":
        pytest.skip("its packages and tiny models are in the store of the one-node cluster only")


@pytest.fixture(scope="module")
def kube_config(provider: Provider) -> str:
    """The kubeconfig that pytest-helm-charts connects with."""
    return str(provider.kubeconfig())


@pytest.fixture(scope="module")
def api(kube_config: str) -> kubernetes.client.CoreV1Api:
    """A client of the node. A new node has new certificates, so no module uses the client of another."""
    kubernetes.config.load_kube_config(kube_config)
    return kubernetes.client.CoreV1Api()


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, provider: Provider) -> Iterator[Kubectl]:
    """kubectl in a namespace with the module's name: ``sign-in`` for test_sign_in.py. It is deleted at the end of the module."""
    name = request.path.stem.removeprefix("test_").replace("_", "-")
    with own_namespace(provider, name) as kubectl:
        yield kubectl


@pytest.fixture(scope="module")
def local(provider: Provider) -> Case:
    """The local preset on a NodePort, in the default namespace of ``make chat``."""
    return quickstart.local_case(provider.chat_url())
