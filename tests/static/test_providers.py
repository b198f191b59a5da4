"""Proves: the cluster provider fits the machine: kind where Docker answers, else one node, else an error that explains what is missing."""

import os

import pytest
from scout_chat.cluster import provider
from scout_chat.core.errors import UserError


def test_without_docker_and_without_root_there_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "docker_answers", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="no Docker engine answers, and a one-node cluster needs Linux and root") as error:
        provider.choose()
    assert "Start Docker" in error.value.hint


def test_kind_needs_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "docker_answers", lambda: False)
    with pytest.raises(UserError, match="kind needs a Docker engine"):
        provider.choose("kind")


def test_docker_is_preferred_and_an_unknown_provider_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "docker_answers", lambda: True)
    assert provider.choose().name == "kind"
    with pytest.raises(UserError, match="there is no provider minikube"):
        provider.choose("minikube")
