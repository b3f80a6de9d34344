"""A fabric of real processes that can be killed one by one, on stores and networks of its own."""

import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import redis

from daef_site import children, ports, stores
from tests.faults import clocks, foundation
from tests.faults.arming import ROLES, Arming
from tests.faults.clocks import Clock
from tests.faults.disk import Disk
from tests.faults.members import ROOT, Member, Nap, sessions
from tests.faults.network import FaultProxy, Network
from tests.faults.sidecar import Sidecar

MIGRATE = (
    "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'daef_site.settings'; "
    "django.setup(); from daef_site.migrations_lock import apply_migrations; apply_migrations()"
)
ORPHAN_SECONDS = 3.0
"""How long a runner may outlive its agent; it should be gone at once."""

GATEWAYS = 2
CONTROL_PLANES = 2
AGENTS = 3
"""Agents of the pool ``default``, each behind a proxy; one more has the pool ``solo`` for itself
and speaks through a sidecar."""


class Cluster:
    """Everything that runs. All is started by the caller's thread, which must be the main one."""

    def __init__(
        self,
        data: Path,
        *,
        seed: int,
        lease_seconds: float,
        slots: int,
        arming: Arming,
        longest_stop: float,
    ) -> None:
        self.longest_stop = longest_stop
        self.data = data
        self.lease_seconds = lease_seconds
        self.slots = slots
        self.arming = arming
        self._random = random.Random(f"{seed} cluster")
        self.token = secrets.token_urlsafe(24)
        self.disk = Disk(data / "postgres")
        self.postgres = stores.Postgres(data, keep=True)
        self.redis = stores.Redis(data, keep=False)
        self.network = Network()
        self.grpc = [ports.free_port() for _ in range(CONTROL_PLANES)]
        self.http = [ports.free_port() for _ in range(GATEWAYS)]
        self.balancer = self.network.proxy("clients", lambda: self.http)
        self.sidecar = Sidecar(self.grpc)
        self.members: list[Member] = []
        self.runs_elsewhere: Callable[[int], bool] = lambda _pid: False
        """Whether a task that the agent of this pid lost runs under another lease by now."""

        self.outlived: list[str] = []
        """Runners that were still there some seconds after their agent was killed."""

        self._orphans: dict[int, float] = {}
        self.later: list[tuple[float, Callable[[], object]]] = []
        """What ends a fault that lasts, and when (monotonic seconds)."""

    def start(self, till: str) -> None:
        """Start everything; ``till`` is the address of the model that costs money."""
        (self.data / "clocks").mkdir()
        stores.start(self.redis)
        stores.start(self.postgres)
        with self.connect() as connection:
            self._dsn = foundation.make_role(connection, stores.HOST)
        self._migrate()
        with self.connect() as connection:
            foundation.lay(connection, till=till)
        for number, port in enumerate(self.grpc):
            self._add_control_plane(number, port)
        for number, port in enumerate(self.http):
            self._add_gateway(number, port)
        for number in range(AGENTS + 1):
            self._add_agent(number)
        for member in self.members:
            self._launch(member)

    def _migrate(self) -> None:
        """Kill the migrator in the middle, then let another finish what it left."""
        environment = self._environment() | {"DAEF_FAULTS": "migrator.mid=kill@5"}
        command = [sys.executable, "-W", "ignore", "-c", MIGRATE]
        with (self.data / "logs" / "migrator.log").open("ab") as log:
            first = subprocess.run(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
            assert first.returncode == -signal.SIGKILL, "the migrator was not killed"
            subprocess.run(
                command, env=self._environment(), cwd=ROOT, stdout=log, stderr=log, check=True
            )

    def _environment(self, name: str = "") -> dict[str, str]:
        """What a process of the control plane is told; with a name, its networks can break."""
        inherited = {key: text for key, text in os.environ.items() if key[:5] != "DAEF_"}
        postgres, queue = self.postgres.port, self.redis.port
        agents_queue = self.redis.port
        if name:
            postgres = self._proxied(f"postgres {name}", postgres).port
            queue = self._proxied(f"redis {name}", queue).port
            agents_queue = self._agents_queue_port()
        return inherited | {
            "DAEF_DATA_DIR": str(self.data),
            "DAEF_STORE": "postgres",
            "DAEF_POSTGRES_DSN": self._dsn.format(port=postgres),
            "DAEF_QUEUE": "redis",
            "DAEF_REDIS_ADDR": _moved(self.redis.url, self.redis.port, queue),
            "DAEF_REDIS_AGENT_URL": _moved(self.redis.agent_url, self.redis.port, agents_queue),
            "DAEF_AGENT_TOKEN": self.token,
            "DAEF_LEASE_SECONDS": str(self.lease_seconds),
            "DAEF_TEST_KINDS": "1",
            "DAEF_SUPERVISED": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _proxied(self, name: str, port: int) -> FaultProxy:
        return self.network.proxy(name, lambda: [port])

    def _agents_queue_port(self) -> int:
        """All agents are told of one address of Redis, whichever control plane tells it."""
        known = [proxy for proxy in self.network.proxies if proxy.name == "redis agents"]
        return (known[0] if known else self._proxied("redis agents", self.redis.port)).port

    def _add(
        self, name: str, role: str, command: list[str], environment: dict[str, str], *, wrong: bool
    ) -> None:
        log = self.data / "logs" / f"{name}.log"
        library = clocks.library() if wrong else None
        clock = Clock(self.data / "clocks" / name, library) if library else None
        self.members.append(Member(name, role, command, environment, log, clock))

    def _add_control_plane(self, number: int, port: int) -> None:
        name = f"controlplane-{number}"
        environment = self._environment(name) | {"DAEF_GRPC_ADDR": f"127.0.0.1:{port}"}
        command = [sys.executable, "manage.py", "controlplane"]
        self._add(name, "controlplane", command, environment, wrong=number == 0)

    def _add_gateway(self, number: int, port: int) -> None:
        command = [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "16"),
            *("--workers-kill-timeout", "1", "--log-level", "warning"),
            "daef_site.wsgi:application",
        ]
        name = f"gateway-{number}"
        self._add(name, "gateway", command, self._environment(name), wrong=number == 0)

    def _add_agent(self, number: int) -> None:
        name = f"agent-{number}"
        kept = ("DAEF_DATA_DIR", "DAEF_AGENT_TOKEN", "DAEF_TEST_KINDS")
        environment = {
            key: text
            for key, text in self._environment().items()
            if key[:5] != "DAEF_" or key in kept
        }
        if number == AGENTS:
            port, pool = self.sidecar.port, foundation.SOLO_POOL
        else:
            port, pool = self.network.proxy(f"grpc {name}", lambda: self.grpc).port, "default"
        environment |= {
            "DAEF_CONTROL_PLANE": f"127.0.0.1:{port}",
            "DAEF_POOL": pool,
            "DAEF_SLOTS": str(self.slots),
        }
        command = [sys.executable, "-m", "workeragent"]
        self._add(name, "worker", command, environment, wrong=number % 2 == 0)

    def _launch(self, member: Member) -> None:
        first = not member.starts
        member.start(self.arming.draw(member.role, self.points_fired(), first=first))

    def points_fired(self) -> set[str]:
        """The fault points that have fired so far."""
        marks = (self.data / "faults.fired").glob("*")
        return {mark.name.partition(".")[2] for mark in marks}

    def role_to_arm(self) -> str:
        """A role with a point that never fired and that none of its processes is armed with."""
        fired = self.points_fired()
        for role, points in ROLES.items():
            armed = " ".join(member.armed for member in self.members if member.role == role)
            if any(point not in fired and point not in armed for point in points):
                return role
        return ""

    # ── what the nemesis asks for ─────────────────────────────────────────────────────────────────

    def of_role(self, role: str) -> list[Member]:
        """The living members of a role."""
        found = sessions()
        return [member for member in self.members if member.role == role and member.tree(found)]

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Call this once so many seconds have passed, or when everything is healed."""
        self.later.append((time.monotonic() + seconds, action))

    def tend(self, now: float) -> None:
        """Start again what has died, wake what has slept long enough (``now``: monotonic)."""
        self._end_faults(now)
        found = sessions()
        self._look_after_orphans(now, found)
        for member in self.members:
            if member.has_died():
                self._tend_dead(member, now)
            else:
                self._tend_stopped(member, now, found)
        for server in (self.postgres, self.redis):
            if server.process is not None and server.process.poll() is not None:
                server.launch()

    def _end_faults(self, now: float) -> None:
        due = [action for at, action in self.later if at <= now]
        self.later = [(at, action) for at, action in self.later if at > now]
        for action in due:
            action()

    def _tend_dead(self, member: Member, now: float) -> None:
        if not member.restart_at:
            assert member.process is not None
            if member.role == "worker":
                # Nobody ends its runner: that has to notice by itself.
                self._orphans[member.process.pid] = now + ORPHAN_SECONDS
            else:
                children.kill_session(member.process)
            member.stopped.clear()
            member.restart_at = now + self._random.uniform(0.0, 0.3)
        elif now >= member.restart_at:
            self._launch(member)

    def _look_after_orphans(self, now: float, found: dict[int, list[int]]) -> None:
        for session in [each for each, until in self._orphans.items() if until <= now]:
            del self._orphans[session]
            for pid in found.get(session, ()):
                with contextlib.suppress(psutil.Error):
                    left = psutil.Process(pid)
                    if left.status() != psutil.STATUS_ZOMBIE:
                        self.outlived.append(" ".join(left.cmdline())[-100:])
                        left.kill()

    def _tend_stopped(self, member: Member, now: float, found: dict[int, list[int]]) -> None:
        for process in member.tree(found):
            try:
                if process.status() != psutil.STATUS_STOPPED:
                    member.stopped.pop(process.pid, None)
                elif process.pid not in member.stopped:
                    member.stopped[process.pid] = self._nap(member, now)
                elif member.stopped[process.pid].is_over(now):
                    process.send_signal(signal.SIGCONT)
            except psutil.Error:
                continue

    def _nap(self, member: Member, now: float) -> Nap:
        """Late: past the end of the lease more often than not.

        Most agents sleep until another has their work: a zombie does harm, if any, in that moment.
        """
        if member.role == "worker" and self._random.random() < 0.7:
            pid = member.process.pid if member.process else 0
            return Nap(now + 3 * self.lease_seconds, lambda: self.runs_elsewhere(pid))
        return Nap(now + self.lease_seconds * self._random.uniform(0.5, 2.0), lambda: False)

    def heal(self) -> None:
        """End every fault: networks, clocks, disk, sleepers; nothing fires from now on."""
        self.arming.over = True
        for member in self.members:
            self._disarm(member)
        self._end_faults(float("inf"))
        self.disk.empty()
        self.network.heal()
        self.sidecar.heal()
        for member in self.members:
            if member.clock:
                member.clock.set(clocks.RIGHT)
            for process in member.tree():
                try:
                    process.send_signal(signal.SIGCONT)
                except psutil.Error:
                    continue

    def _disarm(self, member: Member) -> None:
        """A point that has its mark fires no more in the session of processes that is named."""
        marks = self.data / "faults.fired"
        if member.process is None:
            return
        for point in ROLES[member.role]:
            (marks / f"{member.process.pid}.{point}").touch()

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the tests' own to the database, with every right."""
        return psycopg.connect(
            self.postgres.dsn, autocommit=True, connect_timeout=2, application_name="nemesis"
        )

    def queue(self) -> redis.Redis:
        """A client for the tickets' Redis."""
        return redis.Redis.from_url(self.redis.url, socket_timeout=1, socket_connect_timeout=1)

    def verify(self) -> str:
        """What ``manage.py verify --json`` says."""
        done = subprocess.run(
            [sys.executable, "manage.py", "verify", "--json"],
            env=self._environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout or done.stderr

    def stop(self) -> None:
        """End every process that was started."""
        found = sessions()
        for member in self.members:
            member.end()
        self._look_after_orphans(float("inf"), found)
        self.sidecar.close()
        self.network.close()
        self.disk.empty()
        self.postgres.stop()
        self.redis.stop()
        self.disk.close()
        clocks.clear_shared_memory()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Each member's name and what it has written."""
        for member in self.members:
            if member.log.exists():
                yield member.name, member.log.read_text(encoding="utf-8", errors="replace")


def _moved(url: str, port: int, to: int) -> str:
    """The same address at another port."""
    return url.replace(f":{port}/", f":{to}/")


def wait_until(condition: Callable[[], bool], seconds: float, tend: Callable[[], None]) -> bool:
    """Whether the condition came true in time; ``tend`` is called meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        tend()
        time.sleep(0.1)
    return False
