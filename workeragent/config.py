"""The agent's settings: read once from the environment, checked, and never nonsense.

Without ``DAEF_CONTROL_PLANE`` the agent joins the local fabric through ``fabric.json``, which the
fabric's first process writes into the data folder.
"""

import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAIT_FOR_FABRIC_SECONDS = 30.0
"""How long an agent without settings waits for a local fabric to appear."""

DRAIN_SECONDS = 30.0
"""How long running tasks may go on once the agent is to leave, where nothing else is set."""

MAX_DRAIN_SECONDS = 3_600.0

MAX_SLOTS = 1024
"""Most slots an agent may have: each is a thread of the runner."""

POOL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class ConfigurationError(Exception):
    """A setting is missing or makes no sense; the message names it and the remedy."""


class StoppedWaitingError(Exception):
    """The agent was told to leave while it waited for a local fabric."""


@dataclass(frozen=True)
class Transport:
    """Where the control plane answers gRPC and how to prove who we are.

    ``address`` is host:port, ``token`` a bearer token or empty, the files PEM paths or empty.
    """

    address: str
    token: str = field(repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = field(default="", repr=False)

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS."""
        return bool(self.ca_file)


@dataclass(frozen=True)
class Settings:
    """Everything an agent needs before it registers.

    ``queue_url`` is only used when the control plane names none; ``fabric`` is the file the
    address came from, None when it came from the environment.
    """

    transport: Transport
    pool: str
    slots: int
    node: str
    name: str
    test_kinds: bool
    queue_url: str = field(default="", repr=False)
    insecure: bool = False
    fabric: Path | None = None
    drain_seconds: float = DRAIN_SECONDS


def probe_address(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Where to answer probes, None for nowhere. Raises ConfigurationError."""
    value = environ.get("DAEF_PROBE_ADDR", "").strip()
    if not value:
        return None
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in host:
        raise ConfigurationError("DAEF_PROBE_ADDR must be host:port or :port, such as :8082.")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 # nosec B104 # asked for


def load(
    environ: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> Settings:
    """Read and check the settings; waits for the local fabric when none is named.

    ``say`` gets the one line that tells a person about the wait; ``stop`` ends it. Raises
    ConfigurationError and StoppedWaitingError.
    """
    fabric = None if environ.get("DAEF_CONTROL_PLANE") else fabric_file(environ)
    found = _wait_for_fabric(fabric, say, stop or threading.Event()) if fabric else {}
    insecure = _flag(environ, "DAEF_INSECURE_TRANSPORT")
    node = socket.gethostname()
    return Settings(
        transport=_transport(environ, found, insecure),
        pool=_pool(environ.get("DAEF_POOL") or "default"),
        slots=_slots(environ.get("DAEF_SLOTS", "")),
        node=node,
        name=f"{node}-{os.getpid()}",
        test_kinds=_flag(environ, "DAEF_TEST_KINDS"),
        queue_url=str(found.get("agent_redis_url", "")),
        insecure=insecure,
        fabric=fabric,
        drain_seconds=_drain_seconds(environ.get("DAEF_DRAIN_SECONDS", "")),
    )


def fabric_file(environ: Mapping[str, str]) -> Path:
    """Where the local fabric says how to reach it: `fabric.json` in the data folder."""
    folder = environ.get("DAEF_DATA_DIR")
    return (Path(folder) if folder else Path(__file__).parents[1] / ".daef") / "fabric.json"


def read_fabric(path: Path) -> dict[str, Any] | None:
    """The local fabric's addresses, or None when there is no fabric whose process lives."""
    try:
        found = json.loads(path.read_text("utf-8"))
        pid = int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.get("grpc") and _alive(pid) else None


def has_moved(settings: Settings) -> bool:
    """Whether the local fabric this agent joined answers at another place by now."""
    found = read_fabric(settings.fabric) if settings.fabric else None
    if found is None:
        return False
    transport = settings.transport
    return (found["grpc"], found.get("agent_token", "")) != (transport.address, transport.token)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _wait_for_fabric(
    path: Path, say: Callable[[str], None], stop: threading.Event
) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_FOR_FABRIC_SECONDS
    found = read_fabric(path)
    if found is None:
        say(f"Waiting up to {WAIT_FOR_FABRIC_SECONDS:.0f} s for a local fabric ({path}) ...")
    while found is None:
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"No local fabric is running ({path}). Start one with `make up`, or set "
                "DAEF_CONTROL_PLANE=host:port and DAEF_AGENT_TOKEN (or DAEF_AGENT_TOKEN_FILE)."
            )
        if stop.wait(0.2):
            raise StoppedWaitingError
        found = read_fabric(path)
    return found


def _transport(environ: Mapping[str, str], found: dict[str, Any], insecure: bool) -> Transport:
    address = environ.get("DAEF_CONTROL_PLANE") or str(found["grpc"])
    transport = Transport(
        address=address,
        token=_secret(environ, "DAEF_AGENT_TOKEN") or str(found.get("agent_token", "")),
        ca_file=_file(environ, "DAEF_TLS_CA_FILE"),
        cert_file=_file(environ, "DAEF_TLS_CERT_FILE"),
        key_file=_file(environ, "DAEF_TLS_KEY_FILE"),
    )
    _check_transport(transport, insecure)
    return transport


def _check_transport(transport: Transport, insecure: bool) -> None:
    host = _host(transport.address)
    if bool(transport.cert_file) != bool(transport.key_file):
        raise ConfigurationError("Set DAEF_TLS_CERT_FILE and DAEF_TLS_KEY_FILE together.")
    if transport.cert_file and not transport.ca_file:
        raise ConfigurationError("DAEF_TLS_CERT_FILE needs DAEF_TLS_CA_FILE beside it.")
    if is_loopback(host):
        return
    if not transport.secure and not insecure:
        raise ConfigurationError(
            f"The control plane {host} is not on this machine: set DAEF_TLS_CA_FILE, or "
            "DAEF_INSECURE_TRANSPORT=1 to send the token and all data in the clear."
        )
    if not transport.token:
        raise ConfigurationError(
            f"The control plane {host} needs a token: set DAEF_AGENT_TOKEN "
            "or DAEF_AGENT_TOKEN_FILE."
        )


def _host(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or "/" in host:
        raise ConfigurationError(
            "DAEF_CONTROL_PLANE must be host:port, for example 127.0.0.1:8081."
        )
    return host


def _secret(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    path = environ.get(f"{name}_FILE", "")
    if value and path:
        raise ConfigurationError(f"Set {name} or {name}_FILE, not both.")
    if path:
        try:
            value = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{name}_FILE cannot be read: {path}.") from error
    value = value.strip()
    if not value.isascii() or any(character.isspace() for character in value):
        raise ConfigurationError(f"{name} must be one word of ASCII characters.")
    return value


def _file(environ: Mapping[str, str], name: str) -> str:
    path = environ.get(name, "")
    if path and not os.access(path, os.R_OK):
        raise ConfigurationError(f"{name} names a file that cannot be read: {path}.")
    return path


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value in ("", "0", "false", "no", "off"):
        return False
    if value in ("1", "true", "yes", "on"):
        return True
    raise ConfigurationError(f"{name} must be 1 or 0.")


def _pool(name: str) -> str:
    if not set(name) <= POOL_CHARACTERS or len(name) > 63 or name != name.strip("-"):
        raise ConfigurationError(
            "DAEF_POOL must be a name of up to 63 lower-case letters, digits and hyphens."
        )
    return name


def _slots(text: str) -> int:
    if not text:
        return os.cpu_count() or 1
    if not text.isdecimal() or not 1 <= int(text[:6]) <= MAX_SLOTS:
        raise ConfigurationError(f"DAEF_SLOTS must be a whole number from 1 to {MAX_SLOTS}.")
    return int(text)


def _drain_seconds(text: str) -> float:
    """Raises ConfigurationError."""
    if not text:
        return DRAIN_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_DRAIN_SECONDS:
        raise ConfigurationError(
            f"DAEF_DRAIN_SECONDS must be seconds from 0 to {MAX_DRAIN_SECONDS:g}."
        )
    return seconds
