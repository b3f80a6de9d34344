"""A fabric on this machine as a child of ours: found in its data folder, or started and stopped.

Works in a checkout of DAEF only, where ``manage.py`` is. Linux ends the child with us.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx

from .errors import Usage

CHECKOUT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0
"""A first start makes a database; a busy machine takes its time."""

STOP_SECONDS = 60.0
FREE_PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections (from 32768)."""

DEFAULT_HTTP, DEFAULT_GRPC = "127.0.0.1:8080", "127.0.0.1:8081"
_READY = re.compile(r"^(?P<name>[a-z][a-z0-9 -]*?) +ready in (?P<seconds>[\d.]+) s")
_ALL_READY = re.compile(r"^ready\b", re.MULTILINE)
_LOGIN = re.compile(r"https?://\S+/admin/once/\S+")


class CannotStart(Usage):
    """The fabric did not come up; the message holds what it said last."""


@dataclass
class Running:
    """A fabric that answers: its address, how long each part took to start, its login link."""

    url: str
    process: subprocess.Popen[bytes] | None = None
    log: BinaryIO | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """The one-time login link of the console that the fabric printed; empty without one."""
        found = _LOGIN.search(_read(self.log))
        return found[0] if found else ""


def require_checkout() -> None:
    """Raise CannotStart where the client was installed alone."""
    if not (CHECKOUT / "manage.py").exists():
        raise CannotStart("This needs a checkout of DAEF; there is no manage.py beside the client.")


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where the fabric keeps its data: DAEF_DATA_DIR, else ``.daef`` in the checkout."""
    return Path(environment.get("DAEF_DATA_DIR") or CHECKOUT / ".daef").expanduser().resolve()


def find(data: Path) -> Running | None:
    """The fabric that runs in the data folder and answers, or None."""
    try:
        told = json.loads((data / "fabric.json").read_text(encoding="utf-8"))
        url = f"http://{told['http']}"
        os.kill(int(told["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Running(url) if _answers(url) else None


def addresses(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Addresses to listen on, and which of the usual ones are taken by something else.

    What the environment names is kept as it is.
    """
    chosen, taken = {}, []
    for name, usual in (("DAEF_HTTP_ADDR", DEFAULT_HTTP), ("DAEF_GRPC_ADDR", DEFAULT_GRPC)):
        address = environment.get(name) or usual
        if name not in environment and not _is_free(int(usual.rpartition(":")[2])):
            taken.append(usual)
            address = f"127.0.0.1:{free_port()}"
        chosen[name] = address
    return chosen, taken


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    return next(port for port in iter(lambda: random.choice(FREE_PORTS), 0) if _is_free(port))


@contextmanager
def started(environment: Mapping[str, str], *arguments: str) -> Iterator[Running]:
    """``manage.py up`` with these arguments as our child, until the block ends.

    ``environment`` must name DAEF_HTTP_ADDR. Raises CannotStart with the end of its output.
    """
    # Its output goes into a file without a name, of which nothing stays even when we are killed.
    with tempfile.TemporaryFile() as log:
        process = _launch(environment, arguments, log)
        try:
            running = Running(f"http://{environment['DAEF_HTTP_ADDR']}", process, log)
            _await_answer(running)
            yield running
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the fabric to end in order; kill it when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _launch(
    environment: Mapping[str, str], arguments: Sequence[str], output: BinaryIO
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", "up", *arguments]
    launcher = CHECKOUT / "daef_site" / "launcher.py"
    if launcher.exists():
        # It asks Linux to end the child when we die; -1 keeps the user.
        ends_with_us = [str(os.getpid()), str(int(signal.SIGTERM)), "-1"]
        command = [sys.executable, "-I", "-S", str(launcher), *ends_with_us, *command]
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Ctrl-C is ours to answer; a whole terminal's would reach the fabric as well.
        start_new_session=True,
    )


def _await_answer(running: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    assert running.process is not None
    while time.monotonic() < deadline:
        running.seconds = _parts(running.log)
        if running.process.poll() is not None:
            break
        if _answers(running.url) and _ALL_READY.search(_read(running.log)):
            running.seconds = _parts(running.log)
            return
        time.sleep(0.1)
    lines = "\n".join(_read(running.log).splitlines()[-15:])
    raise CannotStart(f"The fabric did not come up. It said:\n{lines}")


def _parts(log: BinaryIO | None) -> dict[str, float]:
    found = map(_READY.match, _read(log).splitlines())
    return {one["name"]: float(one["seconds"]) for one in found if one}


def _read(log: BinaryIO | None) -> str:
    """All that was written so far; the writer's place in the file stays where it is."""
    if log is None:
        return ""
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), size, 0).decode("utf-8", errors="replace")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
