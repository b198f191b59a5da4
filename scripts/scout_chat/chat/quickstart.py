"""``make chat``: from nothing to the first answer, and back to nothing."""

import base64
import time
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

from scout_chat.chart import archives, recorded
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.chat import diagnosis, install
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.core.errors import UserError
from scout_chat.core.progress import Phases, Reporter, console, silent

if TYPE_CHECKING:  # the client's libraries take a quarter of a second to load, for one command
    from scout_chat.chat.open_webui import Answer, WebUI

QUESTION = "What is the capital of France?"
# The engine's image, the weights and a slow disk; a start takes about a minute on two cores.
ENGINE_SECONDS = 1200


@dataclass(frozen=True)
class Account:
    """Where the chat is, and who signs in first."""

    url: str
    email: str
    password: str
    model: str


def up(provider: ModuleType, question: str = QUESTION) -> "Answer":
    """The whole way, with a line for each phase, and the first answer. Run again, it takes what is there."""
    phases = Phases()
    phases.run({**provider.PREPARATIONS, "charts": get_charts, "node": provider.up})
    case = local_case(provider.chat_url())
    kubectl = Kubectl(provider.kubeconfig(), case.namespace)
    with phases.phase("install"):
        install.install(case, provider.kubeconfig())
    with phases.phase("engine loading") as progress:
        wait_for_pods(kubectl, case, progress)
    first = account(provider)
    with phases.phase("ready") as progress:
        answer = ask(first, question, progress)
    report(first, question, answer, phases)
    return answer


def get_charts(progress: Reporter = silent) -> None:
    """The real archives, or one plain sentence that the recorded renders stand in."""
    try:
        for archive in archives.vendor(progress):
            progress(f"{archive.name} {archive.version} from {archive.source}")
    except archives.ChartsMissing:
        console.print(f"[yellow]{recorded.NOTICE}[/]")


def local_case(url: str) -> Case:
    """The local preset on a port of the node, known by its address."""
    return replace(scenario("local-node-port"), sets=(f"global.chat.url={url}",))


def wait_for_pods(kubectl: Kubectl, case: Case, progress: Reporter, seconds: float = ENGINE_SECONDS) -> None:
    """Until every pod of the release is Ready.

    Raises UserError as soon as a container dies or cannot start, with its last lines and the likely cause.
    """
    selector, deadline = f"app.kubernetes.io/instance={case.release}", time.monotonic() + seconds
    while True:
        # A Deployment's pods; the pod of a helm test is nobody's and ends.
        pods = [pod for pod in kubectl.objects("pods", selector) if pod["metadata"].get("ownerReferences") and not pod["metadata"].get("deletionTimestamp")]
        waiting = []
        for pod in pods:
            refuse_dead(kubectl, pod)
            waiting += [f"{_short(pod)} {container.state}" for container in diagnosis.containers(pod)[-1:] if not container.ready]
            waiting += [f"{_short(pod)} scheduled"] if not diagnosis.containers(pod) else []
        if pods and not waiting and all(map(_complete, kubectl.objects("deployments", selector))):
            return
        if time.monotonic() > deadline:
            raise UserError(f"not ready after {seconds:.0f} s: {'; '.join(waiting)}", f"kubectl -n {case.namespace} describe pods")
        progress("; ".join(waiting))
        time.sleep(1)


def refuse_dead(kubectl: Kubectl, pod: dict) -> None:
    name = pod["metadata"]["name"]
    if why := diagnosis.stuck(pod):
        raise UserError(f"{name} cannot start: {why}", f"kubectl -n {pod['metadata']['namespace']} describe pod {name}")
    for container in diagnosis.containers(pod):
        if container.died:
            log = kubectl.log(name, container.name, previous=container.restarts > 0)
            last = "\n".join(f"    {line}" for line in log.splitlines()[-15:])
            likely = diagnosis.cause(log, container.reason)
            raise UserError(
                f"{container.name} in {name} died ({container.reason}, restarted {container.restarts} times). Its last lines:\n{last}",
                f"Likely cause: {likely}" if likely else f"The whole log: kubectl -n {pod['metadata']['namespace']} logs {name} -c {container.name} --previous",
            )


def account(provider: ModuleType) -> Account:
    """The local chat's first account, read from the cluster."""
    case = local_case(provider.chat_url())
    kubectl = Kubectl(provider.kubeconfig(), case.namespace)
    environments = kubectl.objects("configmaps", "app.kubernetes.io/component=webui-environment")
    if not environments:
        raise UserError(f"no chat is installed in namespace {case.namespace}", "Bring one up: make chat")
    environment = environments[0]["data"]
    secret = kubectl.get("secret", f"{case.release}-webui-secrets")["data"]
    password = base64.b64decode(secret["admin-password"]).decode()
    return Account(provider.chat_url(), environment["WEBUI_ADMIN_EMAIL"], password, environment["DEFAULT_MODELS"])


def ask(account: Account, question: str, progress: Reporter = silent) -> "Answer":
    """One question of the signed-in account, as a browser asks it."""
    from scout_chat.chat.open_webui import WebUI

    ui = WebUI(account.url)
    progress("signing in")
    ui.sign_in(account.email, account.password)
    wait_for_model(ui, account.model, progress)
    progress("asking")
    return ui.chat(question, account.model)


def wait_for_model(ui: "WebUI", model: str, progress: Reporter = silent, seconds: float = 120) -> None:
    """A healthy chat with a wrong address shows nothing but an empty list, so the list is what counts."""
    deadline = time.monotonic() + seconds
    while model not in (models := ui.models()):
        if time.monotonic() > deadline:
            raise UserError(
                f"the chat lists {models or 'no models'} and not {model}: the router sees no engine",
                "kubectl -n chat logs -l app.kubernetes.io/component=router",
            )
        progress(f"waiting for {model} in the chat's list")
        time.sleep(1)


def report(account: Account, question: str, answer: "Answer", phases: Phases) -> None:
    console.print(f"\n  Address   {account.url}   (from another machine: ssh -L 8080:{account.url.removeprefix('http://')} HOST)", soft_wrap=True)
    console.print(f"  Sign in   {account.email}   {account.password}", soft_wrap=True)
    console.print(f"  Question  {question}", markup=False)
    console.print(f"  Answer    {answer.text}", markup=False, soft_wrap=True)
    console.print(f"\n  {phases.total:.0f} s in all. `make chat-down` takes everything away.")


def _complete(deployment: dict) -> bool:
    """Whether the rollout that the specification asks for is over."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return seen and status.get("readyReplicas", 0) == status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted


def _short(pod: dict) -> str:
    labels = pod["metadata"]["labels"]
    return labels.get("app.kubernetes.io/component", pod["metadata"]["name"])
