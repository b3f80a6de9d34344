"""The operator's settings, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts a pod's own credentials."""

LEAST_LEASE_SECONDS = 2.0
MOST_LEASE_SECONDS = 300.0


class WrongSetting(Exception):
    """A setting cannot be used; the message names it and the remedy."""


@dataclass(frozen=True)
class OperatorSettings:
    """What the operator needs beside the client's own DAEF_URL and DAEF_TOKEN."""

    control_plane: str
    """``host:port`` at which agents reach gRPC."""

    agent_image: str
    namespace: str
    """Where the Lease is."""

    lease_seconds: float
    probe_address: tuple[str, int] | None


def load(environ: Mapping[str, str] = os.environ) -> OperatorSettings:
    """Read and check the settings. Raises WrongSetting."""
    return OperatorSettings(
        control_plane=environ.get("DAEF_CONTROL_PLANE", "").strip(),
        agent_image=environ.get("DAEF_AGENT_IMAGE", "").strip() or "daef:latest",
        namespace=environ.get("DAEF_OPERATOR_NAMESPACE", "").strip() or _own_namespace(),
        lease_seconds=_lease_seconds(environ.get("DAEF_OPERATOR_LEASE_SECONDS", "").strip()),
        probe_address=_address(environ.get("DAEF_PROBE_ADDR", "").strip()),
    )


def _own_namespace() -> str:
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text("utf-8").strip() if file.exists() else "default"


def _lease_seconds(text: str) -> float:
    try:
        seconds = float(text or 15)
    except ValueError:
        seconds = 0.0
    if not LEAST_LEASE_SECONDS <= seconds <= MOST_LEASE_SECONDS:
        raise WrongSetting(
            f"DAEF_OPERATOR_LEASE_SECONDS must be {LEAST_LEASE_SECONDS:g} to "
            f"{MOST_LEASE_SECONDS:g} seconds, not {text!r}."
        )
    return seconds


def _address(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65_536 or "/" in host:
        raise WrongSetting("DAEF_PROBE_ADDR must be host:port or :port, such as :8082.")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 # nosec B104 # asked for
