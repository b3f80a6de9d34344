"""The processes of a fabric that run our own code: HTTP, the control plane, agents."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import NoReturn

from django.conf import settings
from django.db import connection

from daef_site import children, env
from daef_site import settings as site_settings
from daef_site.supervisor import Child, Supervisor, say
from jobs.models import Worker

Answers = Callable[[], bool]

# Requests beyond the pool's connections wait for one in a thread each: then a herd of them is in a
# line of our own, and what needs no database, as health, is answered beside it. What can wait for
# its client holds a thread too: at most 32 event streams, 8 large downloads, and the bodies still
# to come for which `receiving` has places.
HTTP_THREADS = 256
# Without a pool a thread keeps its session; streams keep none.
HTTP_THREADS_WITHOUT_POOL = 64
# Open connections, idle ones too; each costs a descriptor and some kilobytes.
HTTP_CONNECTIONS = 8192
# Headers of a request together, roughly: the server looks when a read fills its buffer.
HEADER_BYTES = 128 * 1024
# How long a client may take for its headers, and leave a connection unused.
HEADER_MILLISECONDS = 15_000
# Both servers need a Django start, slow on a busy machine.
START_SECONDS = 120.0
# After this long an agent that has not joined is told of, and no longer waited for.
JOINED_SECONDS = 30.0
# What an agent has no business knowing, and the address that the control plane listens on itself.
_CONTROL_PLANE_ONLY = (
    "DAEF_PROBE_ADDR",
    "DAEF_POSTGRES_DSN",
    "DAEF_POSTGRES_DSN_FILE",
    "DAEF_REDIS_ADDR",
    "DAEF_REDIS_ADDR_FILE",
    "DAEF_REDIS_PASSWORD",
    "DAEF_REDIS_PASSWORD_FILE",
    "DAEF_API_TOKENS",
    "DAEF_API_TOKENS_FILE",
    "DAEF_SECRET_KEY",
    "DAEF_SECRET_KEY_FILE",
    "DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN",
    "DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN_FILE",
)


class CannotStart(Exception):
    """The fabric cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Wish:
    """What to start: agents and their slots (None: one per core), and how much of the gateway."""

    agents: int = 0
    slots: int | None = None
    http_only: bool = False
    # A fabric of its own, never joining another's.
    alone: bool = False


def start_gateway(wish: Wish, supervisor: Supervisor) -> None:
    """Start control plane and HTTP at the same time, and wait until both answer."""
    began = time.monotonic()
    waiting: list[tuple[Child, Answers]] = []
    if not wish.http_only:
        command = [sys.executable, "manage.py", "controlplane"]
        waiting.append((_add(supervisor, "control plane", command), _grpc_answers))
    waiting.append((_add(supervisor, "gateway", _http_command()), _http_answers))
    for child, answers in waiting:
        _wait_for(child, answers)
        address = settings.DAEF_HTTP_ADDR if child.name == "gateway" else settings.DAEF_GRPC_ADDR
        seconds = time.monotonic() - began
        say(child.name, f"ready in {seconds:.1f} s   {env.shown_address(*address)}")


def _grpc_answers() -> bool:
    with socket.create_connection(settings.DAEF_GRPC_ADDR, timeout=1):
        return True


def _http_answers() -> bool:
    # The port alone says nothing: the server opens it before the application is loaded.
    caller = HTTPConnection(*settings.DAEF_HTTP_ADDR, timeout=5)
    try:
        caller.request("GET", "/healthz")
        return caller.getresponse().status < 500
    finally:
        caller.close()


def become_http() -> NoReturn:
    """Turn this process into the HTTP server."""
    os.chdir(site_settings.BASE_DIR)
    environment = {**os.environ, "DAEF_DATA_DIR": str(settings.DAEF_DATA_DIR)}
    command = _http_command()
    os.execve(command[0], command, environment)  # noqa: S606 # nosec B606 # our own command


def _http_command() -> list[str]:
    host, port = settings.DAEF_HTTP_ADDR
    threads = HTTP_THREADS if settings.DAEF_POSTGRES_POOL_MAX else HTTP_THREADS_WITHOUT_POOL
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--workers", "1"),
        *("--host", host, "--port", str(port), "--blocking-threads", str(threads)),
        *("--blocking-threads-idle-timeout", "10"),
        *("--http", "1", "--http1-header-read-timeout", str(HEADER_MILLISECONDS)),
        *("--http1-buffer-size", str(HEADER_BYTES), "--backpressure", str(HTTP_CONNECTIONS)),
        *("--workers-kill-timeout", "3", "--log-level", "warning"),
        "daef_site.wsgi:application",
    ]


def _add(
    supervisor: Supervisor,
    name: str,
    command: list[str],
    environment: Mapping[str, str] | None = None,
    grace_seconds: float = 8,
    group: str = "",
) -> Child:
    log = settings.DAEF_DATA_DIR / "logs" / f"{name.replace(' ', '-')}.log"
    everything = dict(os.environ if environment is None else environment)
    everything |= {
        "DAEF_DATA_DIR": str(settings.DAEF_DATA_DIR),
        "DAEF_SUPERVISED": "1",
        "PYTHONUNBUFFERED": "1",
    }

    def launch() -> subprocess.Popen[bytes]:
        return children.spawn(
            command, log=log, environment=everything, folder=site_settings.BASE_DIR
        )

    def stop(process: subprocess.Popen[bytes]) -> None:
        children.end(process, grace_seconds=grace_seconds, asked=bool(group))

    return supervisor.add(Child(name, log, launch, stop, group=group))


def _wait_for(child: Child, answers: Answers) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.process is not None and child.process.poll() is not None:
            break
        try:
            if answers():
                return
        except (OSError, HTTPException):
            pass
        time.sleep(0.05)
    raise CannotStart(
        f"{child.name} did not come up; {child.log} says:\n{children.last_lines(child.log, 15)}"
    )


def start_agents(wish: Wish, supervisor: Supervisor) -> None:
    """Start the agents, without the control plane's own secrets, and wait until they joined."""
    if not wish.agents:
        return
    began, known = time.monotonic(), _newest_worker()
    environment = _agent_environment(wish.slots)
    command = [sys.executable, "-m", "workeragent"]
    agents = [
        # An agent that is asked to stop first brings its running tasks to an end.
        _add(supervisor, name, command, environment, grace_seconds=15, group="agents")
        for name in _agent_names(wish.agents)
    ]
    joined = _wait_for_agents(agents, known)
    seconds = time.monotonic() - began
    for agent in agents:
        outcome = f"ready in {seconds:.1f} s" if joined else "has not joined yet"
        say(agent.name, f"{outcome}   {_slots_shown(wish.slots)}")


def _agent_names(count: int) -> list[str]:
    return ["agent"] if count == 1 else [f"agent {number + 1}" for number in range(count)]


def _agent_environment(slots: int | None) -> dict[str, str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in _CONTROL_PLANE_ONLY
    }
    return environment if slots is None else {**environment, "DAEF_SLOTS": str(slots)}


def _newest_worker() -> int:
    return Worker.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _wait_for_agents(agents: list[Child], known: int) -> bool:
    """Whether as many workers newer than ``known`` registered as were started."""
    deadline = time.monotonic() + JOINED_SECONDS
    try:
        while time.monotonic() < deadline:
            if Worker.objects.filter(pk__gt=known).count() >= len(agents):
                return True
            if any(agent.process is None or agent.process.poll() is not None for agent in agents):
                return False
            time.sleep(0.1)
    finally:
        # The supervisor needs the database no more, and must not hold a session for days.
        connection.close()
    return False


def _slots_shown(slots: int | None) -> str:
    if slots is None:
        return "one slot per core"
    return "1 slot" if slots == 1 else f"{slots} slots"
