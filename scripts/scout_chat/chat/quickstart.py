"""``make chat``: bring up a node, install the chart with the local preset, and ask the first question."""

import base64
from dataclasses import dataclass, replace

from scout_chat.chart import archives, recorded
from scout_chat.chart.render import Case
from scout_chat.chart.scenarios import scenario
from scout_chat.chat import install
from scout_chat.chat.readiness import wait_for_model, wait_for_pods
from scout_chat.chat.turn import Answer
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.errors import UserError
from scout_chat.core.progress import Phases, Reporter, console, silent

QUESTION = "What is the capital of France?"


@dataclass(frozen=True)
class Account:
    """The address of a chat, its first account, and the model to ask."""

    url: str
    email: str
    password: str
    model: str


def up(provider: Provider, question: str = QUESTION) -> Answer:
    """Bring up a chat, print a line for each phase, and return the first answer.

    A second run keeps what the first one made.
    """
    phases = Phases()
    phases.run({**provider.preparations, "charts": get_charts, "node": provider.up})
    case = local_case(provider.chat_url())
    kubectl = Kubectl(provider.kubeconfig(), case.namespace)
    with phases.phase("install"):
        install.install(case, provider.kubeconfig())
    with phases.phase("engine loading") as progress:
        wait_for_pods(kubectl, case, progress)
    administrator = account(provider)
    with phases.phase("ready") as progress:
        answer = ask(administrator, question, progress)
    report(administrator, question, answer, phases)
    return answer


def get_charts(progress: Reporter = silent) -> None:
    """Supply the chart archives. Where they cannot be had, print that recorded renders take their place."""
    try:
        for archive in archives.vendor(progress):
            progress(f"{archive.name} {archive.version} from {archive.source}")
    except archives.ChartsMissing:
        console.print(f"[yellow]{recorded.NOTICE}[/]")


def local_case(url: str) -> Case:
    """Return the local preset with a NodePort that is reachable at ``url``."""
    return replace(scenario("local-node-port"), sets=(f"global.chat.url={url}",))


def account(provider: Provider, release: Case | None = None) -> Account:
    """Read the first account of a release on the NodePort, of ``make chat`` by default. Raises UserError if no chat is installed."""
    case = release or local_case(provider.chat_url())
    kubectl = Kubectl(provider.kubeconfig(), case.namespace)
    environments = kubectl.objects("configmaps", "app.kubernetes.io/component=webui-environment")
    if not environments:
        raise UserError(f"no chat is installed in namespace {case.namespace}", "Bring one up: make chat")
    environment = environments[0]["data"]
    secret = kubectl.get("secret", f"{case.release}-webui-secrets")["data"]
    password = base64.b64decode(secret["admin-password"]).decode()
    return Account(provider.chat_url(), environment["WEBUI_ADMIN_EMAIL"], password, environment["DEFAULT_MODELS"])


def ask(account: Account, question: str, progress: Reporter = silent) -> Answer:
    """Sign in, wait for the model, and ask as a browser does."""
    # Imported here: its libraries take a quarter of a second to load.
    from scout_chat.chat.open_webui import WebUI

    ui = WebUI(account.url)
    progress("signing in")
    ui.sign_in(account.email, account.password)
    wait_for_model(ui, account.model, progress)
    progress("asking")
    return ui.chat(question, account.model)


def report(account: Account, question: str, answer: Answer, phases: Phases) -> None:
    """Print the address, the sign-in, and the first question with its answer."""
    console.print(f"\n  Address   {account.url}   (from another machine: ssh -L 8080:{account.url.removeprefix('http://')} HOST)", soft_wrap=True)
    console.print(f"  Sign in   {account.email}   {account.password}", soft_wrap=True)
    console.print(f"  Question  {question}", markup=False)
    console.print(f"  Answer    {answer.text}", markup=False, soft_wrap=True)
    console.print(f"\n  {phases.total:.0f} s in total. `make chat-down` removes everything.")
