"""Proves: the notes that Helm prints after an install explain how people sign in.

It does not prove that sign-in works; tests/cluster does.
"""

import os
import subprocess

import pytest
from scout_chat.chart.scenarios import scenario
from scout_chat.core.paths import CHART
from scout_chat.core.tools import tool


@pytest.mark.charts
@pytest.mark.parametrize(
    ("name", "said", "unsaid"),
    [
        ("local", "Sign in as admin@example.org. The initial password is in a Secret:", "redirect URI"),
        ("gpt-oss-hospital", "Register this redirect URI at the identity provider: https://chat.example.org/oauth/oidc/callback", "initial password"),
        ("external-oidc", "Sign in as admin@example.org when the identity provider is down. The initial password is in a Secret:", "Warning"),
        ("local-node-port", "passwords and chats are sent unencrypted", "redirect URI"),
    ],
    ids=["created password", "SSO", "SSO with an emergency password", "unencrypted"],
)
def test_the_notes_explain_how_people_sign_in(name: str, said: str, unsaid: str) -> None:
    """Helm prints notes only on install; a client-side dry run needs no cluster."""
    case = scenario(name)
    command = [tool("helm"), "install", case.release, str(CHART), "--namespace", case.namespace, "--dry-run=client", *case.options()]
    notes = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"KUBECONFIG": os.devnull}).stdout.partition("NOTES:")[2]
    assert said in notes and unsaid not in notes
