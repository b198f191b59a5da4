"""Addons: a default StorageClass, and kwok, which simulates GPU nodes for scheduling tests."""

import json
from pathlib import Path

import yaml

from scout_chat.cluster.one_node.layout import CHECK_TIMEOUT, KUBECONFIG, NODE, STATE, kubectl, succeeds
from scout_chat.cluster.processes import Processes
from scout_chat.core.command import run
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.progress import Reporter
from scout_chat.images.archive import BASE

NAMESPACE = "local-path-storage"


def start(processes: Processes, progress: Reporter) -> None:
    """Start the addons, and wait until the node is Ready."""
    run(*kubectl(), "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(_storage()))
    processes.start(
        "local-path-provisioner", "local-path-provisioner", "start", "--kubeconfig", KUBECONFIG, "--namespace", NAMESPACE,
        "--helper-image", BASE, "--service-account-name", "default",
    )  # fmt: skip
    # kwok simulates nodes with the annotation kwok.x-k8s.io/node: fake, and their pods. To the scheduler they are real.
    processes.start(
        "kwok", "kwok", "--kubeconfig", KUBECONFIG, "--config", Path(__file__).with_name("kwok-stages.yaml"), "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake",
        # Without a lease Kubernetes marks a fake node unreachable after 50 seconds (node-monitor-grace-period).
        "--node-lease-duration-seconds", "40",
    )  # fmt: skip
    progress("node Ready")
    ready = ("get", "node", NODE, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
    processes.wait("kubelet", lambda: "True" in run(*kubectl(), CHECK_TIMEOUT, *ready, check=False), 60)
    processes.wait("coredns", lambda: succeeds(*kubectl(), CHECK_TIMEOUT, "-n", "default", "get", "serviceaccount", "default"), 30)


def _storage() -> list[KubeObject]:
    """Return the objects of a default StorageClass. Its volumes are folders on the node; short-lived pods create and remove them."""
    volumes = {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [f"{STATE}/volumes"]}]}
    helper = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"containers": [{"name": "helper-pod", "image": BASE, "imagePullPolicy": "IfNotPresent"}]},
    }
    data = {
        "config.json": json.dumps(volumes),
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
        "helperPod.yaml": yaml.safe_dump(helper),
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "local-path-config", "namespace": NAMESPACE}, "data": data},
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        },
    ]
