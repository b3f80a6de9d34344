"""Free ports, and who holds the taken ones. Never imports Django."""

import random
import socket

import psutil

# Below 32768, where Linux begins to hand out ports to outgoing connections.
FIRST, LAST = 20_000, 32_767


class PortTaken(Exception):
    """An address is in use; the message says by whom."""


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on, chosen at random so that two fabrics rarely want the same."""
    chooser = random.SystemRandom()
    for _ in range(200):
        port = chooser.randint(FIRST, LAST)
        if is_free(host, port):
            return port
    raise PortTaken(f"no free port from {FIRST} to {LAST} on {host}")


def require_free(host: str, port: int, setting: str) -> None:
    """Raise PortTaken, naming the holder and the variable to change, where the port is in use."""
    if is_free(host, port):
        return
    raise PortTaken(
        f"{host}:{port} is taken by {holder(port)}. Stop it, or set {setting} to another address."
    )


def holder(port: int) -> str:
    """``pid 12 (command line)`` of who listens on the port, as far as we may see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return _described(connection.pid)
    except psutil.Error:
        pass
    return "a process of another user"


def _described(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        return f"pid {pid} ({' '.join(psutil.Process(pid).cmdline())[:120]})"
    except psutil.Error:
        return f"pid {pid}"
