"""Proves: the one-node cluster refuses taken ports and overlapping networks, and removes only its own iptables chains."""

import socket

import pytest
from scout_chat.cluster import host
from scout_chat.core.errors import UserError


def test_a_taken_port_is_named() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} on 127.0.0.1 is taken"):
            host.check_ports_free([("127.0.0.1", port)])
    host.check_ports_free([("127.0.0.1", port)])


def test_an_overlapping_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_only_the_chains_of_kubernetes_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[str] = []

    def run(*command: str, stdin: str | None = None, check: bool = True) -> str:
        if command[0].endswith("-restore"):
            restored.append(stdin or "")
        return SAVED if command[0] == "iptables-save" else ""

    monkeypatch.setattr(host, "run", run)
    host.remove_chains()
    (kept,) = restored
    assert "KUBE" not in kept and "CNI" not in kept
    assert ":MINE - [0:0]" in kept and "-A PREROUTING -p tcp --dport 81 -j MINE" in kept and "-A MINE -j ACCEPT" in kept
