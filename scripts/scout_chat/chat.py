"""``make chat``: from nothing to the first answer, and back to nothing."""

import base64
import time
from dataclasses import dataclass, replace
from types import ModuleType

from . import charts, diagnose, install, recorded
from .errors import UserError
from .kubectl import Kubectl
from .progress import Phases, Say, console
from .render import CASES, Case
from .webui import Answer, WebUI

QUESTION = "What is the capital of France?"
# The engine's image, the weights and a slow disk; a start takes about a minute on two cores.
ENGINE_SECONDS = 1200


@dataclass(frozen=True)
class Result:
    """The chat as it stands: where, with which account, and the first turn."""

    url: str
    email: str
    password: str
    model: str
    answer: Answer


def up(provider: ModuleType, question: str = QUESTION) -> Result:
    """The whole way, with a line for each phase. Run again, it takes what is there."""
    phases = Phases()
    for name, prepare in provider.PREPARATIONS.items():
        with phases.phase(name) as say:
            prepare(say)
    with phases.phase("charts") as say:
        get_charts(say)
    with phases.phase("node") as say:
        provider.up(say)
    case = local_case(provider.chat_url())
    kubectl = Kubectl(provider.kubeconfig(), case.namespace)
    with phases.phase("install"):
        install.install(case, provider.kubeconfig())
    with phases.phase("engine loading") as say:
        wait_for_pods(kubectl, case, say)
    with phases.phase("ready") as say:
        result = first_answer(kubectl, case, provider.chat_url(), question, say)
    report(result, question, phases)
    return result


def get_charts(say: Say = lambda note: None) -> None:
    """The real archives, or one plain sentence that the recorded renders stand in."""
    try:
        for archive in charts.vendor(say):
            say(f"{archive.name} {archive.version} from {archive.source}")
    except charts.ChartsMissing:
        console.print(f"[yellow]{recorded.NOTICE}[/]")


def local_case(url: str) -> Case:
    """The local preset on a port of the node, known by its address."""
    return replace(CASES["local-node-port"], sets=(f"global.chat.url={url}",))


def wait_for_pods(kubectl: Kubectl, case: Case, say: Say, seconds: float = ENGINE_SECONDS) -> None:
    """Until every pod of the release is Ready.

    Raises UserError as soon as a container dies or cannot start, with its last lines and the likely cause.
    """
    deadline = time.monotonic() + seconds
    while True:
        pods = [pod for pod in kubectl.objects("pods", f"app.kubernetes.io/instance={case.release}") if not pod["metadata"].get("deletionTimestamp")]
        waiting = []
        for pod in pods:
            refuse_dead(kubectl, pod)
            waiting += [f"{_short(pod)} {container.state}" for container in diagnose.containers(pod)[-1:] if not container.ready]
            waiting += [f"{_short(pod)} scheduled"] if not diagnose.containers(pod) else []
        complete = all(deployment["status"].get("readyReplicas", 0) >= deployment["spec"]["replicas"] and deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"] for deployment in kubectl.objects("deployments", f"app.kubernetes.io/instance={case.release}"))
        if pods and not waiting and complete:
            return
        if time.monotonic() > deadline:
            raise UserError(f"not ready after {seconds:.0f} s: {'; '.join(waiting)}", f"kubectl -n {case.namespace} describe pods")
        say("; ".join(waiting))
        time.sleep(1)


def refuse_dead(kubectl: Kubectl, pod: dict) -> None:
    name = pod["metadata"]["name"]
    if why := diagnose.stuck(pod):
        raise UserError(f"{name} cannot start: {why}", f"kubectl -n {pod['metadata']['namespace']} describe pod {name}")
    for container in diagnose.containers(pod):
        if container.died:
            log = kubectl.log(name, container.name, previous=container.restarts > 0)
            last = "\n".join(f"    {line}" for line in log.splitlines()[-15:])
            likely = diagnose.cause(log, container.reason)
            raise UserError(
                f"{container.name} in {name} died ({container.reason}, restarted {container.restarts} times). Its last lines:\n{last}",
                f"Likely cause: {likely}" if likely else f"The whole log: kubectl -n {pod['metadata']['namespace']} logs {name} -c {container.name} --previous",
            )


def first_answer(kubectl: Kubectl, case: Case, url: str, question: str, say: Say) -> Result:
    """Signs in as the first account, waits for the model in the list, asks."""
    environment = next(iter(kubectl.objects("configmaps", "app.kubernetes.io/component=webui-environment")))["data"]
    secret = kubectl.get("secret", f"{case.release}-webui-secrets")["data"]
    email, password = environment["WEBUI_ADMIN_EMAIL"], base64.b64decode(secret["admin-password"]).decode()
    say("signing in")
    ui = WebUI(url)
    ui.sign_in(email, password)
    model = environment["DEFAULT_MODELS"]
    wait_for_model(ui, model, say)
    say("asking")
    return Result(url, email, password, model, ui.chat(question, model))


def wait_for_model(ui: WebUI, model: str, say: Say = lambda note: None, seconds: float = 120) -> None:
    """A healthy chat with a wrong address shows nothing but an empty list, so the list is what counts."""
    deadline = time.monotonic() + seconds
    while model not in (models := ui.models()):
        if time.monotonic() > deadline:
            raise UserError(f"the chat lists {models or 'no models'} and not {model}: the router sees no engine", "kubectl -n chat logs -l app.kubernetes.io/component=router")
        say(f"waiting for {model} in the chat's list")
        time.sleep(1)


def report(result: Result, question: str, phases: Phases) -> None:
    console.print(f"\n  Address   {result.url}   (this machine; from another: ssh -L 8080:{result.url.removeprefix('http://')} HOST)", soft_wrap=True)
    console.print(f"  Sign in   {result.email}   {result.password}", soft_wrap=True)
    console.print(f"  Question  {question}")
    console.print(f"  Answer    {result.answer.text}", markup=False)
    console.print(f"\n  {phases.total:.0f} s in all. `make chat-down` takes everything away.")


def _short(pod: dict) -> str:
    labels = pod["metadata"]["labels"]
    return labels.get("app.kubernetes.io/component", pod["metadata"]["name"])
