"""Wait until an installed chat is ready: its pods first, then the model in the chat's list."""

import time
from typing import TYPE_CHECKING

from scout_chat.chart.render import Case
from scout_chat.chat import diagnosis
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.core.errors import UserError
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.progress import Reporter, silent

if TYPE_CHECKING:  # the client's libraries take a quarter of a second to load
    from scout_chat.chat.open_webui import WebUI

# Covers the download of the engine's image and of the weights, on a slow disk. A start alone takes about a minute
# on two cores.
ENGINE_SECONDS = 1200
LAST_LINES = 15


def wait_for_pods(kubectl: Kubectl, case: Case, progress: Reporter, seconds: float = ENGINE_SECONDS) -> None:
    """Wait until every rollout of the release is complete and every pod is Ready.

    Raises UserError as soon as a container keeps dying or cannot start, with its last lines and the likely cause.
    Raises UserError after ``seconds`` too.
    """
    selector, deadline = f"app.kubernetes.io/instance={case.release}", time.monotonic() + seconds
    while True:
        # The pod of a helm test has no owner and ends, so it is not waited for.
        pods = [pod for pod in kubectl.objects("pods", selector) if pod["metadata"].get("ownerReferences") and not pod["metadata"].get("deletionTimestamp")]
        waiting = []
        for pod in pods:
            raise_if_failed(kubectl, pod)
            waiting += [f"{_component(pod)} {container.state}" for container in diagnosis.containers(pod)[-1:] if not container.ready]
            waiting += [f"{_component(pod)} pending"] if not diagnosis.containers(pod) else []
        if pods and not waiting and all(map(_rollout_complete, kubectl.objects("deployments", selector))):
            return
        if time.monotonic() > deadline:
            raise UserError(f"not ready after {seconds:.0f} s: {'; '.join(waiting)}", f"kubectl -n {case.namespace} describe pods")
        progress("; ".join(waiting))
        time.sleep(1)


def raise_if_failed(kubectl: Kubectl, pod: KubeObject) -> None:
    """Raise UserError if the pod cannot start, or if a container of it keeps dying."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    if why := diagnosis.stuck(pod):
        raise UserError(f"{name} cannot start: {why}", f"kubectl -n {namespace} describe pod {name}")
    for container in diagnosis.containers(pod):
        if container.died:
            log = kubectl.log(name, container.name, previous=container.restarts > 0)
            last = "\n".join(f"    {line}" for line in log.splitlines()[-LAST_LINES:])
            likely = diagnosis.cause(log, container.reason)
            raise UserError(
                f"{container.name} in {name} died ({container.reason}, restarted {container.restarts} times). Its last lines:\n{last}",
                f"Likely cause: {likely}" if likely else f"The whole log: kubectl -n {namespace} logs {name} -c {container.name} --previous",
            )


def wait_for_model(ui: "WebUI", model: str, progress: Reporter = silent, seconds: float = 120) -> None:
    """Wait for the model in the chat's list: the health check passes even when the router's address is wrong.

    Raises UserError after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while model not in (models := ui.models()):
        if time.monotonic() > deadline:
            raise UserError(
                f"the chat lists {models or 'no models'} and not {model}: the router sees no engine",
                "In the namespace of the release: kubectl logs -l app.kubernetes.io/component=router",
            )
        progress(f"waiting for {model} in the chat's list")
        time.sleep(1)


def _rollout_complete(deployment: KubeObject) -> bool:
    """Return whether the Deployment controller has seen the current spec, and every replica is updated and ready."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = (status.get("readyReplicas", 0), status.get("updatedReplicas", 0), status.get("replicas", 0))
    return seen and all(count == wanted for count in counts)


def _component(pod: KubeObject) -> str:
    """Return the pod's component label, or its name."""
    metadata = pod["metadata"]
    return str(metadata["labels"].get("app.kubernetes.io/component", metadata["name"]))
