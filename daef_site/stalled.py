"""Ending connections on which nothing moves: their clients are gone, or hold threads on purpose.

The server knows a limit for headers only. A client that sends half a body and then nothing, or
reads nothing of a large answer, would keep its thread for as long as its machine is up.
"""

import logging
import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator

STALLED_SECONDS = 60.0
"""Without a byte in either direction. Event streams send some every 5 s, statements end in 30 s."""

LOOK_SECONDS = 10.0

# struct tcp_info in linux/tcp.h: eight bytes, then numbers of 32 bits, the tenth of which is the
# time since data was sent and the twelfth since it was received, in milliseconds.
TCP_INFO = struct.Struct("8B13I")
LAST_SENT, LAST_RECEIVED = 8 + 9, 8 + 11

logger = logging.getLogger(__name__)


def watch(port: int) -> None:
    """Start a thread that ends what stalls among the connections to ``port``; on Linux only."""
    if hasattr(socket, "TCP_INFO") and os.path.isdir("/proc/self/fd"):
        threading.Thread(target=_watch, args=(port,), name="stalled", daemon=True).start()


def _watch(port: int) -> None:
    never = threading.Event()
    while not never.wait(LOOK_SECONDS):
        if ended := end_stalled(port, STALLED_SECONDS):
            logger.warning("ended %d connections that had stalled for a minute", ended)


def end_stalled(port: int, seconds: float) -> int:
    """End the connections to ``port`` that stood still for so long; returns how many."""
    ended = 0
    for connection in _connections(port):
        if _stood_still(connection) >= seconds:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            ended += 1
    return ended


def _connections(port: int) -> Iterator[socket.socket]:
    """Each of this process's connections to the port, under a descriptor of its own."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                if _is_to(connection, port):
                    yield connection
        except OSError:
            # Closed meanwhile, or not connected.
            continue


def _is_to(connection: socket.socket, port: int) -> bool:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    connection.getpeername()
    return bool(connection.getsockname()[1] == port)


def _stood_still(connection: socket.socket) -> float:
    """Seconds since a byte of data was sent or received."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
    numbers = TCP_INFO.unpack(facts)
    return min(numbers[LAST_SENT], numbers[LAST_RECEIVED]) / 1000
