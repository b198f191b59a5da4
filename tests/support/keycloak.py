"""A real Keycloak for the sign-in tests: a realm with three people, served over TLS, and a client that signs in as a browser does."""

import html
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from filelock import FileLock
from scout_chat.cluster.pki import Authority
from scout_chat.core.command import install_packages
from scout_chat.core.kubeyaml import KubeObject
from scout_chat.core.paths import cache

VERSION = "26.4.7"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
PORT, REALM, CLIENT, SECRET = 18443, "hospital", "open-webui", "the-client-secret"
PASSWORD = "a-persons-password"
START_SECONDS = 180
# Each person's realm roles. Everybody has the realm's default roles as well.
PEOPLE = {"ada": ["chat-user", "chat-admin"], "ben": ["chat-user"], "cleo": []}
# Ada is in both groups: the first makes her an administrator. Everybody is in the second.
GROUP, STAFF = "chat-admin", "staff"


def distribution() -> Path:
    """Return the distribution's archive. It is downloaded once, from the Maven repository that this machine is configured for."""
    archive = cache("keycloak", f"keycloak-quarkus-dist-{VERSION}.zip")
    with FileLock(archive.with_suffix(".lock")):
        if not archive.exists():
            install_packages({"mvn": "maven", "java": "default-jre-headless"})
            with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
                artifact = f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
                subprocess.run(["mvn", "-q", "-B", COPY, artifact, f"-DoutputDirectory={folder}"], check=True, capture_output=True)
                Path(folder, archive.name).replace(archive)
    return archive


def realm(redirect_uri: str) -> KubeObject:
    """Return the realm as Keycloak imports it. The ID token has roles and groups, as docs/start/sign-in.md asks."""
    into_the_token = {"multivalued": "true", "id.token.claim": "true", "userinfo.token.claim": "true", "access.token.claim": "true"}
    mappers = [
        {"name": name, "protocol": "openid-connect", "protocolMapper": mapper, "config": into_the_token | config}
        for name, mapper, config in (
            ("roles", "oidc-usermodel-realm-role-mapper", {"claim.name": "roles"}),
            ("groups", "oidc-group-membership-mapper", {"claim.name": "groups", "full.path": "false"}),
        )
    ]
    return {
        "realm": REALM,
        "enabled": True,
        "roles": {"realm": [{"name": "chat-user"}, {"name": "chat-admin"}]},
        "groups": [{"name": GROUP}, {"name": STAFF}],
        "users": [
            {
                "username": name,
                "email": f"{name}@example.org",
                "emailVerified": True,
                "firstName": name.title(),
                "lastName": "Example",
                "enabled": True,
                "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
                "realmRoles": [f"default-roles-{REALM}", *roles],
                "groups": [GROUP, STAFF] if name == "ada" else [STAFF],
            }
            for name, roles in PEOPLE.items()
        ],
        "clients": [{"clientId": CLIENT, "secret": SECRET, "enabled": True, "publicClient": False, "redirectUris": [redirect_uri], "protocolMappers": mappers}],
    }


@dataclass(frozen=True)
class Keycloak:
    """A running Keycloak. ``ca``: the file with the CA of its certificate."""

    url: str
    ca: Path

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/{REALM}"

    def client(self) -> httpx.Client:
        return httpx.Client(verify=ssl.create_default_context(cafile=str(self.ca)), timeout=60, follow_redirects=True, trust_env=False)

    @contextmanager
    def _administrator(self) -> Iterator[httpx.Client]:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        with self.client() as client:
            answer = client.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form).raise_for_status()
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            client.base_url = f"{self.url}/admin/realms/{REALM}/"
            yield client

    def take_role(self, person: str, role: str) -> None:
        with self._administrator() as admin:
            user = admin.get("users", params={"username": person, "exact": True}).json()[0]["id"]
            body = [admin.get(f"roles/{role}").json()]
            admin.request("DELETE", f"users/{user}/role-mappings/realm", json=body).raise_for_status()

    def give_group(self, person: str, group: str) -> None:
        with self._administrator() as admin:
            self._change_group(admin, "PUT", person, group)

    def take_group(self, person: str, group: str) -> None:
        with self._administrator() as admin:
            self._change_group(admin, "DELETE", person, group)

    @staticmethod
    def _change_group(admin: httpx.Client, method: str, person: str, group: str) -> None:
        user = admin.get("users", params={"username": person, "exact": True}).json()[0]["id"]
        found = admin.get("groups", params={"search": group, "exact": True}).json()[0]["id"]
        admin.request(method, f"users/{user}/groups/{found}").raise_for_status()

    def sign_in(self, chat: str, person: str) -> str:
        """Sign the person in by the chat's button and return the chat's token. Raises Refused with the message that the chat shows instead."""
        with self.client() as browser:
            page = browser.get(f"{chat}/oauth/oidc/login").raise_for_status()
            form = re.search(r'<form[^>]*action="([^"]+)"', page.text)
            assert form, page.text[:500]
            end = browser.post(html.unescape(form[1]), data={"username": person, "password": PASSWORD})
            token = browser.cookies.get("token")
            if token:
                return token
            raise Refused(parse_qs(urlsplit(str(end.url)).query).get("error", [f"{end.status_code} at {end.url}"])[0])


class Refused(Exception):
    """The chat does not let the person in; its message."""


@contextmanager
def running(address: str, redirect_uri: str) -> Iterator[Keycloak]:
    """Run Keycloak on ``address``, and remove it with its data when the context ends."""
    folder = Path(tempfile.mkdtemp(prefix="keycloak-"))
    with zipfile.ZipFile(distribution()) as archive:
        archive.extractall(folder)
    home = folder / f"keycloak-{VERSION}"
    certificate, key = Authority(folder / "pki").issue("keycloak", "keycloak", hosts=(address,))
    (home / "data" / "import").mkdir(parents=True, exist_ok=True)
    (home / "data" / "import" / f"{REALM}-realm.json").write_text(json.dumps(realm(redirect_uri)))
    keycloak = Keycloak(f"https://{address}:{PORT}", folder / "pki" / "ca.crt")
    command = ["bash", str(home / "bin" / "kc.sh"), "start-dev", "--import-realm", "--http-enabled=false", f"--hostname={keycloak.url}"]
    command += [f"--https-port={PORT}", f"--http-host={address}", f"--https-certificate-file={certificate}", f"--https-certificate-key-file={key}"]
    env = os.environ | {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD, "JAVA_OPTS_APPEND": "-Xmx512m"}
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True) as process:
        try:
            _wait(keycloak, process, folder / "log")
            yield keycloak
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)
            shutil.rmtree(folder, ignore_errors=True)


def _wait(keycloak: Keycloak, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the realm answers. Fails with the end of the log if the process ends or the time is over."""
    deadline = time.monotonic() + START_SECONDS
    with keycloak.client() as client:
        while True:
            try:
                if client.get(f"{keycloak.issuer}/.well-known/openid-configuration").is_success:
                    return
            except httpx.HTTPError:
                pass
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
