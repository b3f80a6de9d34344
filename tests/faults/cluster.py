"""A fabric of real processes that can be killed one by one, on stores of its own."""

import contextlib
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import redis

from daef_site import children, ports, stores
from tests.faults.arming import ROLES, Arming
from tests.faults.proxy import FaultProxy

ROOT = Path(__file__).resolve().parents[2]
MIGRATE = (
    "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'daef_site.settings'; "
    "django.setup(); from daef_site.migrations_lock import apply_migrations; apply_migrations()"
)
AGENTS = 3
CONTROL_PLANES = 2


@dataclass(frozen=True)
class Nap:
    """A stopped process is woken at ``latest`` (monotonic seconds), or when ``due`` says so."""

    latest: float
    due: Callable[[], bool]

    def is_over(self, now: float) -> bool:
        """Whether it is to be woken."""
        return now >= self.latest or self.due()


@dataclass
class Member:
    """One process of the fabric: how it is started, and when it has to be started again."""

    name: str
    role: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    restart_at: float = 0.0
    stopped: dict[int, Nap] = field(default_factory=dict)
    """Pids found stopped."""

    def start(self, faults: str) -> None:
        """Start it with these faults armed."""
        self.starts += 1
        self.restart_at = 0.0
        environment = self.environment | ({"DAEF_FAULTS": faults} if faults else {})
        self.process = children.spawn(
            self.command, log=self.log, environment=environment, folder=ROOT
        )

    def tree(self) -> list[psutil.Process]:
        """The living processes of it, the oldest and its own first."""
        if self.process is None or self.process.poll() is not None:
            return []
        found = []
        # It leads a session. Asking for sessions is far cheaper than looking for children.
        for pid in sorted(psutil.pids()):
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(pid) == self.process.pid:
                    found.append(psutil.Process(pid))
        return found

    def end(self) -> None:
        """Kill it with all its children."""
        if self.process is not None:
            children.kill_session(self.process)
            self.process.wait()
            self.process = None


class Cluster:
    """Everything that runs. All is started by the caller's thread, which must be the main one."""

    def __init__(
        self, data: Path, *, seed: int, lease_seconds: float, slots: int, arming: Arming
    ) -> None:
        self.data = data
        self.lease_seconds = lease_seconds
        self.slots = slots
        self.arming = arming
        self._random = random.Random(f"{seed} cluster")
        self._token = secrets.token_urlsafe(24)
        self.postgres = stores.Postgres(data, keep=True)
        self.redis = stores.Redis(data, keep=False)
        self.http = ports.free_port()
        self.grpc = [ports.free_port() for _ in range(CONTROL_PLANES)]
        self.members: list[Member] = []
        self.proxies: list[FaultProxy] = []
        self.runs_elsewhere: Callable[[int], bool] = lambda _pid: False
        """Whether a task that the agent of this pid lost runs under another lease by now."""

    def start(self) -> None:
        """Start everything and wait until it answers."""
        stores.start(self.redis)
        stores.start(self.postgres)
        self._migrate()
        for number, port in enumerate(self.grpc):
            self._add_control_plane(number, port)
        self._add_gateway()
        for number in range(AGENTS):
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

    def _environment(self) -> dict[str, str]:
        """What every process of the control plane is told."""
        inherited = {name: text for name, text in os.environ.items() if name[:5] != "DAEF_"}
        return inherited | {
            "DAEF_DATA_DIR": str(self.data),
            "DAEF_STORE": "postgres",
            "DAEF_POSTGRES_DSN": self.postgres.dsn,
            "DAEF_QUEUE": "redis",
            "DAEF_REDIS_ADDR": self.redis.url,
            "DAEF_REDIS_AGENT_URL": self.redis.agent_url,
            "DAEF_AGENT_TOKEN": self._token,
            "DAEF_LEASE_SECONDS": str(self.lease_seconds),
            "DAEF_TEST_KINDS": "1",
            "DAEF_SUPERVISED": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _add(self, name: str, role: str, command: list[str], environment: dict[str, str]) -> None:
        log = self.data / "logs" / f"{name}.log"
        self.members.append(Member(name, role, command, environment, log))

    def _add_control_plane(self, number: int, port: int) -> None:
        environment = self._environment() | {"DAEF_GRPC_ADDR": f"127.0.0.1:{port}"}
        command = [sys.executable, "manage.py", "controlplane"]
        self._add(f"controlplane-{number}", "controlplane", command, environment)

    def _add_gateway(self) -> None:
        command = [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(self.http), "--blocking-threads", "16"),
            *("--workers-kill-timeout", "1", "--log-level", "warning"),
            "daef_site.wsgi:application",
        ]
        self._add("gateway", "gateway", command, self._environment())

    def _add_agent(self, number: int) -> None:
        proxy = FaultProxy(ports.free_port(), lambda: self.grpc)
        self.proxies.append(proxy)
        kept = ("DAEF_DATA_DIR", "DAEF_AGENT_TOKEN", "DAEF_TEST_KINDS")
        environment = {
            name: text
            for name, text in self._environment().items()
            if name[:5] != "DAEF_" or name in kept
        }
        environment |= {
            "DAEF_CONTROL_PLANE": f"127.0.0.1:{proxy.port}",
            "DAEF_SLOTS": str(self.slots),
        }
        command = [sys.executable, "-m", "workeragent"]
        self._add(f"agent-{number}", "worker", command, environment)

    def _launch(self, member: Member) -> None:
        marks = (self.data / "faults.fired").glob("*")
        fired = {mark.name.partition(".")[2] for mark in marks}
        # The first submissions come before there is any work to disturb.
        later = 15 if member.role == "gateway" and not member.starts else 0
        member.start(self.arming.draw(member.role, fired, later=later))

    # ── what the nemesis asks for ─────────────────────────────────────────────────────────────────

    def of_role(self, role: str) -> list[Member]:
        """The living members of a role."""
        return [member for member in self.members if member.role == role and member.tree()]

    def tend(self, now: float) -> None:
        """Start again what has died, wake what has slept long enough (``now``: monotonic)."""
        for member in self.members:
            if member.process is not None and member.process.poll() is not None:
                self._tend_dead(member, now)
            else:
                self._tend_stopped(member, now)
        for server in (self.postgres, self.redis):
            if server.process is not None and server.process.poll() is not None:
                server.launch()

    def _tend_dead(self, member: Member, now: float) -> None:
        if not member.restart_at:
            assert member.process is not None
            children.kill_session(member.process)
            member.stopped.clear()
            member.restart_at = now + self._random.uniform(0.0, 0.3)
        elif now >= member.restart_at:
            self._launch(member)

    def _tend_stopped(self, member: Member, now: float) -> None:
        for process in member.tree():
            try:
                if process.status() != psutil.STATUS_STOPPED:
                    member.stopped.pop(process.pid, None)
                elif process.pid not in member.stopped:
                    member.stopped[process.pid] = self._nap(member, now)
                elif member.stopped[process.pid].is_over(now):
                    process.send_signal(signal.SIGCONT)
            except psutil.Error:
                continue

    def _nap(self, member: Member, now: float) -> "Nap":
        """Late: past the end of the lease more often than not.

        Most agents sleep until another has their work: a zombie does harm, if any, in that moment.
        """
        if member.role == "worker" and self._random.random() < 0.7:
            pid = member.process.pid if member.process else 0
            return Nap(now + 5 * self.lease_seconds, lambda: self.runs_elsewhere(pid))
        return Nap(now + self.lease_seconds * self._random.uniform(0.5, 2.5), lambda: False)

    def heal(self) -> None:
        """End every fault: networks, sleepers; nothing fires from now on."""
        self.arming.over = True
        for member in self.members:
            self._disarm(member)
        for proxy in self.proxies:
            proxy.heal()
        for member in self.members:
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
        """A connection of the tests' own to the database."""
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
        for member in self.members:
            member.end()
        for proxy in self.proxies:
            proxy.close()
        self.postgres.stop()
        self.redis.stop()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Each member's name and what it has written."""
        for member in self.members:
            if member.log.exists():
                yield member.name, member.log.read_text(encoding="utf-8", errors="replace")


def wait_until(condition: Callable[[], bool], seconds: float, tend: Callable[[], None]) -> bool:
    """Whether the condition came true in time; ``tend`` is called meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        tend()
        time.sleep(0.1)
    return False
