"""Proves, in pods and with a real Keycloak: an identity provider is the only way to sign in; who may sign in, with which role and for how
long; what a lost role changes; how local accounts are merged; and `helm test` checks the way to the provider.

Keycloak's certificate is from a CA that only global.trustedCA has. Does not prove: other providers.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from scout_chat.chart.render import Case
from scout_chat.chat import install, quickstart, readiness
from scout_chat.chat.open_webui import WebUI
from scout_chat.cluster.kubectl import Kubectl
from scout_chat.cluster.provider import Provider
from scout_chat.core.kubeyaml import KubeObject

from tests.support import keycloak
from tests.support.releases import deploy

# One release, whose settings change from test to test.
pytestmark = pytest.mark.random_order(disabled=True)

NAMESPACE = "sign-in"
BEN = ("ben@example.org", "bens-local-password")


@pytest.fixture(scope="module")
def provider_of_identities(local: Case, provider: Provider) -> Iterator[keycloak.Keycloak]:
    chat_url = provider.chat_url()
    # Pods and this machine both reach the node's own address.
    with keycloak.running(chat_url.split("//")[1].split(":")[0], f"{chat_url}/oauth/oidc/callback") as running:
        yield running


@pytest.fixture(scope="module")
def kubectl(provider_of_identities: keycloak.Keycloak, namespace: Kubectl) -> Kubectl:
    """kubectl in the namespace, with the CA and the client's secret of a site."""
    namespace.run("create", "configmap", "site-ca", f"--from-file=ca.crt={provider_of_identities.ca}")
    namespace.run("create", "secret", "generic", "chat-oidc", f"--from-literal=client-secret={keycloak.SECRET}")
    return namespace


class Release:
    """The local preset: first with local accounts, then with the provider and other settings of ``global.chat.auth``."""

    def __init__(self, local: Case, provider: Provider, identities: keycloak.Keycloak) -> None:
        self.case, self._provider, self.url = replace(local, namespace=NAMESPACE), provider, provider.chat_url()
        oidc = {"issuer": identities.issuer, "clientId": keycloak.CLIENT, "existingSecret": "chat-oidc"}
        self._identities = {"trustedCA": {"configMap": "site-ca"}, "chat": {"auth": {"oidc": oidc}}}
        deploy(self.case, provider)

    def identities(self, oidc: KubeObject, **auth: object) -> None:
        settings = json.loads(json.dumps({"global": self._identities}))
        settings["global"]["chat"]["auth"] |= auth
        settings["global"]["chat"]["auth"]["oidc"] |= oidc
        self.case = replace(self.case, extra=json.dumps(settings))
        deploy(self.case, self._provider)

    def account(self, token: str) -> KubeObject:
        account: KubeObject = httpx.get(f"{self.url}/api/v1/auths/", headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()
        return account


@pytest.fixture(scope="module")
def release(local: Case, provider: Provider, kubectl: Kubectl, provider_of_identities: keycloak.Keycloak) -> Iterator[Release]:
    made = Release(local, provider, provider_of_identities)
    yield made
    install.uninstall(made.case, provider.kubeconfig())


@pytest.fixture(scope="module")
def password(release: Release, kubectl: Kubectl) -> str:
    return base64.b64decode(kubectl.get("secret", "chat-webui-secrets")["data"]["admin-password"]).decode()


@pytest.fixture(scope="module")
def local_ben(release: Release, password: str) -> str:
    """The id of a local account with a conversation, from before the release had a provider."""
    WebUI(release.url).sign_in("admin@example.org", password).add_user("Ben", *BEN)
    ben = WebUI(release.url).sign_in(*BEN)
    ben.write("From before the provider")
    identifier: str = release.account(ben.token)["id"]
    return identifier


ROLES = {"roles": {"claim": "roles", "allowed": ["chat-user"], "admin": ["chat-admin"]}}


@pytest.fixture(scope="module")
def with_roles(release: Release, local_ben: str) -> Release:
    release.identities(ROLES)
    return release


def test_a_password_opens_nothing_at_the_api(with_roles: Release, password: str) -> None:
    for body in ({"email": "admin@example.org", "password": password}, dict(zip(("email", "password"), BEN, strict=True))):
        assert httpx.post(f"{with_roles.url}/api/v1/auths/signin", json=body).status_code == 403
    stranger = {"name": "X", "email": "x@example.org", "password": "a-strangers-password"}
    assert httpx.post(f"{with_roles.url}/api/v1/auths/signup", json=stranger).status_code == 403


def test_helm_test_proves_the_way_to_the_provider_and_to_the_model(with_roles: Release, provider: Provider, provider_of_identities: keycloak.Keycloak) -> None:
    log = install.test(with_roles.case, provider.kubeconfig())
    assert f"sign-in: {provider_of_identities.issuer}/protocol/openid-connect/auth, back to {with_roles.url}/oauth/oidc/callback" in log
    assert "sign-in with a password is off" in log and "PASSED" in log


def test_only_holders_of_a_role_get_in_and_only_admins_administer(with_roles: Release, provider_of_identities: keycloak.Keycloak) -> None:
    assert with_roles.account(provider_of_identities.sign_in(with_roles.url, "ada"))["role"] == "admin"
    with pytest.raises(keycloak.Refused):
        provider_of_identities.sign_in(with_roles.url, "cleo")


def test_a_local_account_is_not_taken_over_by_its_address(with_roles: Release, provider_of_identities: keycloak.Keycloak) -> None:
    with pytest.raises(keycloak.Refused, match="(?i)email"):
        provider_of_identities.sign_in(with_roles.url, "ben")


def test_a_sign_in_lasts_twelve_hours(with_roles: Release, provider_of_identities: keycloak.Keycloak) -> None:
    token = provider_of_identities.sign_in(with_roles.url, "ada")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 12 * 3600


def test_a_lost_role_is_gone_at_the_next_sign_in(with_roles: Release, provider_of_identities: keycloak.Keycloak) -> None:
    """First the administrator's, in the sessions that are open as well. Then the one that lets in: an open session lasts until it expires.

    The claim still holds the realm's default roles.
    """
    open_session = provider_of_identities.sign_in(with_roles.url, "ada")
    provider_of_identities.take_role("ada", "chat-admin")
    assert with_roles.account(provider_of_identities.sign_in(with_roles.url, "ada"))["role"] == "user"
    assert with_roles.account(open_session)["role"] == "user"
    provider_of_identities.take_role("ada", "chat-user")
    with pytest.raises(keycloak.Refused):
        provider_of_identities.sign_in(with_roles.url, "ada")
    assert with_roles.account(open_session)["role"] == "user"


@pytest.fixture(scope="module")
def admin_alone(with_roles: Release) -> Release:
    """Only the administrators' group is set. Accounts are merged by address, and breakGlass is on."""
    with_roles.identities({"roles": {"claim": "groups", "admin": [keycloak.GROUP]}, "mergeAccountsByEmail": True}, breakGlass=True)
    return with_roles


def test_admin_alone_locks_nobody_out(admin_alone: Release, provider_of_identities: keycloak.Keycloak) -> None:
    """A person without a group is a user, and sees the model."""
    provider_of_identities.take_group("cleo", keycloak.STAFF)
    assert admin_alone.account(provider_of_identities.sign_in(admin_alone.url, "ada"))["role"] == "admin"
    cleo = provider_of_identities.sign_in(admin_alone.url, "cleo")
    assert admin_alone.account(cleo)["role"] == "user"
    listed = httpx.get(f"{admin_alone.url}/api/models", headers={"Authorization": f"Bearer {cleo}"}, timeout=30).raise_for_status().json()["data"]
    assert [model["id"] for model in listed] == ["smollm2-135m"]


def test_a_lost_group_is_gone_at_the_next_sign_in_if_another_stays(admin_alone: Release, provider_of_identities: keycloak.Keycloak) -> None:
    """The realm's default group stays."""
    provider_of_identities.take_group("ada", keycloak.GROUP)
    assert admin_alone.account(provider_of_identities.sign_in(admin_alone.url, "ada"))["role"] == "user"
    provider_of_identities.give_group("ada", keycloak.GROUP)
    assert admin_alone.account(provider_of_identities.sign_in(admin_alone.url, "ada"))["role"] == "admin"


def test_an_empty_claim_keeps_the_role_which_the_documents_warn_of(admin_alone: Release, provider_of_identities: keycloak.Keycloak) -> None:
    """This is Open WebUI's behaviour, and why docs/start/sign-in.md asks for a claim that is never empty. If this fails, remove the warning."""
    for group in (keycloak.GROUP, keycloak.STAFF):
        provider_of_identities.take_group("ada", group)
    assert admin_alone.account(provider_of_identities.sign_in(admin_alone.url, "ada"))["role"] == "admin"


def test_a_merged_account_keeps_its_conversations(admin_alone: Release, local_ben: str, provider_of_identities: keycloak.Keycloak) -> None:
    ben = WebUI(admin_alone.url).use(provider_of_identities.sign_in(admin_alone.url, "ben"))
    assert admin_alone.account(ben.token)["id"] == local_ben
    assert ben.questions() == ["From before the provider"]


def test_break_glass_lets_the_local_administrator_in(admin_alone: Release, password: str) -> None:
    administrator = WebUI(admin_alone.url).sign_in("admin@example.org", password)
    assert admin_alone.account(administrator.token)["role"] == "admin"


def test_break_glass_accepts_every_local_password(admin_alone: Release, local_ben: str) -> None:
    """Open WebUI has one switch for all passwords, so breakGlass is for outages of the provider."""
    assert admin_alone.account(WebUI(admin_alone.url).sign_in(*BEN).token)["id"] == local_ben


def test_without_roles_every_account_of_the_provider_works(admin_alone: Release, provider: Provider, provider_of_identities: keycloak.Keycloak) -> None:
    admin_alone.identities({"roles": {"allowed": [], "admin": []}})
    token = provider_of_identities.sign_in(admin_alone.url, "cleo")
    assert admin_alone.account(token)["role"] == "user"
    ui = WebUI(admin_alone.url).use(token)
    readiness.wait_for_model(ui, "smollm2-135m")
    assert "Paris" in ui.chat(quickstart.QUESTION, "smollm2-135m").text
