"""The node's address, its ports, and the kernel settings that pods need."""

from pathlib import Path

from scout_chat.cluster import host
from scout_chat.cluster.one_node.layout import ALIAS, BRIDGE, IP, POD_BRIDGE, PODS, PORTS, SERVICES, STATE
from scout_chat.cluster.processes import Processes
from scout_chat.core.command import run

IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
IP_FORWARD_BEFORE = STATE / "ip_forward.before"


def claim(processes: Processes) -> None:
    """Put the node's address on its bridge, and check the ports of every component that does not run yet.

    Raises UserError that names the interface, route or process in conflict.
    """
    free = [port for name, ports in PORTS.items() if not processes.alive(name) for port in ports]
    host.check_ports_free([port for port in free if port[0] != IP])
    _configure()
    host.check_ports_free([port for port in free if port[0] == IP])


def restore_forwarding() -> None:
    """Set IP forwarding back to its value from before the node came up."""
    if IP_FORWARD_BEFORE.exists():
        IP_FORWARD.write_text(IP_FORWARD_BEFORE.read_text())


def _configure() -> None:
    host.check_ranges_free([f"{IP}/32", PODS, SERVICES], own=(BRIDGE, POD_BRIDGE))
    host.interface(BRIDGE, ALIAS, f"{IP}/32")
    if not IP_FORWARD_BEFORE.exists():
        IP_FORWARD_BEFORE.write_text(IP_FORWARD.read_text())
    IP_FORWARD.write_text("1")
    # Without this a pod's answer to a pod on the same bridge bypasses the translation of the Service's address.
    bridged = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not bridged.exists():
        run("modprobe", "br_netfilter", check=False)
    if bridged.exists():
        bridged.write_text("1")
