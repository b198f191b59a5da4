"""Interfaces, ports, cgroups, mounts and iptables chains of a one-node Kubernetes: make them, check them, remove them."""

import contextlib
import ctypes
import ipaddress
import json
import os
import re
import shutil
import socket
from pathlib import Path

from scout_chat.cluster.processes import start_time, stop
from scout_chat.core.command import run
from scout_chat.core.errors import UserError

CGROUPS = Path("/sys/fs/cgroup")
MNT_DETACH = 2


# Interfaces and addresses.


def interface(name: str, alias: str, address: str) -> None:
    """Create a bridge without ports that carries ``address`` (with its prefix length), marked by ``alias``.

    Raises UserError if an interface of that name exists without the mark.
    """
    links = {link["ifname"]: link for link in json.loads(run("ip", "-j", "link", "show"))}
    if name not in links:
        run("ip", "link", "add", name, "type", "bridge")
        run("ip", "link", "set", name, "alias", alias)
    elif links[name].get("ifalias") != alias:
        raise UserError(f"the interface {name} exists and is not this node's", f"Is it in use? If not: ip link delete {name}")
    ip = address.partition("/")[0]
    if ip not in addresses(name):
        run("ip", "addr", "add", address, "dev", name)
    run("ip", "link", "set", name, "up")
    # Traffic to an address that is not on this machine would leave through the default route.
    if ip not in addresses(name):
        raise UserError(f"the address {ip} could not be added to the interface {name}", f"Look at it: ip addr show dev {name}")


def addresses(name: str) -> list[str]:
    """Return the IP addresses of an interface; empty if it does not exist."""
    links = json.loads(run("ip", "-j", "addr", "show", "dev", name, check=False) or "[]")
    return [address["local"] for link in links for address in link.get("addr_info", []) if "local" in address]


def check_ranges_free(ranges: list[str], own: tuple[str, ...]) -> None:
    """Raise UserError if a route of another interface overlaps one of the ranges. ``own`` names the node's interfaces."""
    for route in json.loads(run("ip", "-j", "route", "show", "table", "all")):
        target, device = route.get("dst", "default"), route.get("dev", "")
        if target == "default" or device in own or device == "lo" or ":" in target:
            continue
        for wanted in ranges:
            if ipaddress.ip_network(target, strict=False).overlaps(ipaddress.ip_network(wanted)):
                raise UserError(
                    f"the node needs {wanted}, but {device} already has a route to {target}",
                    f"Take {device} down while the node runs, or use a machine without that network.",
                )


def check_ports_free(ports: list[tuple[str, int]]) -> None:
    """Raise UserError for the first (address, port) that is taken; the message names the process that listens."""
    for address, port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise UserError(f"port {port} on {address} is taken{_listener(port)}", "Stop what listens there, and run the command again.") from error


def _listener(port: int) -> str:
    """Return `` by NAME (pid PID)`` from ss; empty where ss is not installed."""
    if not shutil.which("ss"):
        return ""
    match = re.search(r'users:\(\("([^"]+)",pid=(\d+)', run("ss", "-Hltnp", f"sport = :{port}", check=False))
    return f" by {match[1]} (pid {match[2]})" if match else ""


# Removing what is left.


def processes_with(text: str) -> list[int]:
    """Return the pids of processes whose command line contains ``text``, without this process and its parent."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in line and int(folder.name) not in (os.getpid(), os.getppid()):
            pids.append(int(folder.name))
    return pids


def cgroup_folders(name: str) -> list[Path]:
    """Return the folders of the cgroup ``name``, existing or not: one per hierarchy, and one in all on cgroup v2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS / name]
    return [folder / name for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists() and not folder.is_symlink()]


def create_cgroup(name: str) -> None:
    """Create the cgroup in every hierarchy."""
    for folder in cgroup_folders(name):
        folder.mkdir(exist_ok=True)
        if folder.parent == CGROUPS:  # cgroup v2: enable the root's controllers for the children
            controllers = (CGROUPS / "cgroup.controllers").read_text().split()
            for parent in (CGROUPS, folder):
                (parent / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))
        for file in ("cpuset.cpus", "cpuset.mems"):  # cgroup v1: while they are empty nothing may run
            if folder.parent.name == "cpuset" and not (folder / file).read_text().strip():
                (folder / file).write_text((folder.parent / file).read_text())


def remove_cgroup(name: str) -> None:
    """End every process in the cgroup and its children, and remove the cgroup."""
    pids: set[int] = set()
    for folder in cgroup_folders(name):
        for file in folder.rglob("cgroup.procs"):
            pids.update(int(pid) for pid in file.read_text().split())
    stop([pid for pid in pids if start_time(pid)], grace=2)
    for folder in cgroup_folders(name):
        for child, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(child)


def mounts_under(folder: Path) -> list[str]:
    """Return the mount points under ``folder``, the last mounted first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in reversed(points) if point == str(folder) or point.startswith(f"{folder}/")]


def unmount_under(folder: Path) -> None:
    """Unmount everything under ``folder``."""
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_under(folder):
        # Detach: a process that is still dying must not keep the mount.
        libc.umount2(point.encode(), MNT_DETACH)


def remove_interface(name: str, alias: str | None = None) -> None:
    """Remove the interface if it exists; with ``alias`` only if it carries that mark."""
    links = json.loads(run("ip", "-j", "link", "show", "dev", name, check=False) or "[]")
    if any(link and (alias is None or link.get("ifalias") == alias) for link in links):
        run("ip", "link", "delete", name, check=False)


def chains() -> list[str]:
    """Return the iptables chains of Kubernetes and CNI plugins, each as ``command table chain``."""
    found = []
    for command in ("iptables", "ip6tables"):
        table = ""
        for line in run(f"{command}-save", check=False).splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif match := re.match(r":((KUBE|CNI)-\S+)", line):
                found.append(f"{command} {table} {match[1]}")
    return found


def remove_chains() -> None:
    """Remove those chains and every rule that names them. Other rules stay as they are."""
    for command, table in {tuple(chain.split()[:2]) for chain in chains()}:
        lines = run(f"{command}-save", "-t", table).splitlines()
        kept = [line for line in lines if not re.search(r"(^:|\s-j |\s-g |^-A )(KUBE|CNI)-", line)]
        run(f"{command}-restore", "-T", table, stdin="\n".join(kept) + "\n")
