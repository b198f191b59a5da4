"""Proves: on the one-node cluster logs, exec, DNS, the API server's Service, volumes and fake GPU nodes work as on any Kubernetes.

Does not prove: other distributions. How the node comes up and goes is in test_node_lifecycle.py.
"""

import json

import pytest
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.one_node import layout
from scout_chat.cluster.one_node.node import OneNode
from scout_chat.images import archive

pytestmark = pytest.mark.usefixtures("one_node")


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl in this module's namespace."""
    return OneNode().kubectl("--namespace=node", *arguments, stdin=stdin)


@pytest.fixture(scope="module")
def pod(namespace: Kubectl) -> str:
    """The name of a pod that waits. It has Python."""
    kubectl("run", "probe", f"--image={archive.BASE}", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "sh", "-c", "echo started; sleep 600")
    kubectl("wait", "--for=condition=Ready", "pod/probe", "--timeout=60s")
    return "probe"


def test_logs_and_exec_work(pod: str) -> None:
    assert kubectl("logs", pod) == "started\n"
    assert kubectl("exec", pod, "--", "echo", "hello") == "hello\n"


def test_a_pod_reaches_the_api_server_with_a_ca_that_it_trusts(pod: str) -> None:
    """By name, through the Service, and verified by the certificate that every pod has."""
    script = (
        "import ssl,urllib.request as u; a='/var/run/secrets/kubernetes.io/serviceaccount/';"
        "r=u.Request('https://kubernetes.default.svc/version',headers={'Authorization':'Bearer '+open(a+'token').read()});"
        "print(u.urlopen(r,context=ssl.create_default_context(cafile=a+'ca.crt')).read().decode())"
    )
    assert json.loads(kubectl("exec", pod, "--", "python3", "-c", script))["gitVersion"] == "v1.36.3"


def test_a_claim_is_bound_by_the_default_storage_class(namespace: Kubectl) -> None:
    manifest = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  restartPolicy: Never
  securityContext: {runAsUser: 1000}
  containers:
    - {name: writer, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sh, -c, echo kept > /data/file], volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""
    kubectl("apply", "-f", "-", stdin=manifest.replace("IMAGE", archive.BASE))
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=90s")
    (written,) = layout.STATE.glob("volumes/*_node_data/file")
    assert written.read_text() == "kept\n"
    kubectl("delete", "pod/writer", "pvc/data")


def test_a_fake_gpu_node_takes_a_pod_that_asks_for_a_gpu(namespace: Kubectl) -> None:
    manifest = """
apiVersion: v1
kind: Node
metadata: {name: gpu, annotations: {kwok.x-k8s.io/node: fake}, labels: {nvidia.com/gpu.memory: "81920"}}
spec: {taints: [{key: nvidia.com/gpu, value: present, effect: NoSchedule}]}
status:
  capacity: {cpu: "32", memory: 256Gi, pods: "10", nvidia.com/gpu: "1"}
  allocatable: {cpu: "32", memory: 256Gi, pods: "10", nvidia.com/gpu: "1"}
---
apiVersion: v1
kind: Pod
metadata: {name: engine}
spec:
  tolerations: [{key: nvidia.com/gpu, operator: Exists}]
  containers: [{name: engine, image: none, resources: {limits: {nvidia.com/gpu: 1}}}]
"""
    kubectl("apply", "-f", "-", stdin=manifest)
    kubectl("wait", "--for=condition=Ready", "pod/engine", "--timeout=60s")
    assert kubectl("get", "pod", "engine", "-o", "jsonpath={.spec.nodeName}") == "gpu"
    kubectl("delete", "pod/engine", "node/gpu")
