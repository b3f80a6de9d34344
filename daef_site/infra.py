"""PostgreSQL and Redis on their standard ports, detached: what ``make infra-up`` starts.

They outlive the command; pid files in the data folder let ``infra-down`` find them.
Never imports Django.
"""

import json
import signal
import subprocess
from pathlib import Path

import psutil

from daef_site import fabric, ports, stores
from daef_site.supervisor import say

POSTGRES_PORT = 5432
REDIS_PORT = 6379
# The seed's persistent-mode line names database, user and password alike.
PASSWORD = "daef"  # noqa: S105 (documented, loopback only)
STOP_SECONDS = 30


def folder(data: Path) -> Path:
    """Where their data and pid files are kept."""
    return data / "infra"


def up(data: Path) -> None:
    """Start what does not run yet. Raises PortTaken, StoreFailed or NoGround."""
    home = folder(data)
    fabric.make_data_folder(data)
    fabric.make_data_folder(home)
    if not _already_runs(home, "postgres"):
        ports.require_free(stores.HOST, POSTGRES_PORT, "DAEF_STORE=embedded, or DAEF_POSTGRES_DSN")
        _start(
            home,
            stores.Postgres(home, keep=True, port=POSTGRES_PORT, password=PASSWORD, detached=True),
        )
    if not _already_runs(home, "redis"):
        ports.require_free(stores.HOST, REDIS_PORT, "DAEF_QUEUE=embedded, or DAEF_REDIS_ADDR")
        _start(home, stores.Redis(home, keep=True, port=REDIS_PORT, password="", detached=True))


def down(data: Path) -> None:
    """Stop what runs, Redis first; its data stays."""
    for name, by in (("redis", signal.SIGTERM), ("postgres", signal.SIGINT)):
        process = _running(folder(data), name)
        if process is None:
            say(name, "does not run")
            continue
        process.send_signal(by)
        _, alive = psutil.wait_procs([process], timeout=STOP_SECONDS)
        for survivor in alive:
            survivor.kill()
        say(name, f"stopped (pid {process.pid}), its data is kept")
        _pid_file(folder(data), name).unlink(missing_ok=True)


def _start(home: Path, server: stores.Postgres | stores.Redis) -> None:
    seconds = stores.start(server)
    assert server.process is not None
    _write_pid(home, server.name, server.process)
    say(server.name, f"ready in {seconds:.1f} s   {stores.HOST}:{server.port}, its data is kept")


def _write_pid(home: Path, name: str, process: subprocess.Popen[bytes]) -> None:
    started = psutil.Process(process.pid).create_time()
    content = json.dumps({"pid": process.pid, "started_at": started})
    fabric.write_private(_pid_file(home, name), content)
    # It is meant to outlive us; without this, Popen would warn that it still runs.
    process.returncode = 0


def _already_runs(home: Path, name: str) -> bool:
    process = _running(home, name)
    if process is not None:
        say(name, f"already runs (pid {process.pid})")
    return process is not None


def _running(home: Path, name: str) -> psutil.Process | None:
    try:
        known = json.loads(_pid_file(home, name).read_text(encoding="utf-8"))
        if not fabric.process_lives(known["pid"], known["started_at"]):
            return None
        return psutil.Process(known["pid"])
    except (OSError, ValueError, KeyError, psutil.Error):
        return None


def _pid_file(home: Path, name: str) -> Path:
    return home / f"{name}.pid"
