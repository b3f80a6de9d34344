"""Child processes that end with us, and the end of processes we started. Never imports Django."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_LAUNCHER = Path(__file__).with_name("launcher.py")
# A log larger than this many bytes is moved to NAME.log.1 and begun anew.
LOG_BYTES = 10 * 2**20
# How long a dead child's descendants get to notice that they are alone.
_LINGER_SECONDS = 5.0
_POLL_SECONDS = 0.05


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    uid: int | None = None,
    dies_by: signal.Signals | None = signal.SIGKILL,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, its output appended to ``log``.

    ``uid`` is the user to drop to; ``dies_by`` the signal Linux sends it when the calling *thread*
    ends (call from the main thread), None for a child that outlives us.
    """
    rotate(log)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*launcher, str(int(dies_by or 0)), str(-1 if uid is None else uid), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
            cwd=folder,
        )


def rotate(log: Path) -> None:
    """Move the content of a log that has grown too large to ``NAME.1``; its writer just goes on."""
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    # Copied and cut rather than renamed: the child holds the file open for appending.
    log.with_name(f"{log.name}.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)


def end(
    process: subprocess.Popen[bytes],
    *,
    by: signal.Signals = signal.SIGTERM,
    grace_seconds: float = 10,
    asked: bool = False,
) -> None:
    """Ask the child to end (unless it was ``asked`` before), wait, kill its session if it stays.

    Returns when its descendants are gone too: PostgreSQL's backends lead sessions of their own, and
    outlive their postmaster for a moment.
    """
    family = _descendants(process)
    if process.poll() is None:
        if not asked:
            process.send_signal(by)
        if not _ends(process, grace_seconds, family):
            kill_session(process)
    # What the child itself started shares its session; nothing of that may stay.
    kill_session(process)
    process.wait()
    _outlive(family)


def _ends(
    process: subprocess.Popen[bytes], grace_seconds: float, family: set[psutil.Process]
) -> bool:
    """Whether it ends within the grace; its descendants until then are added to ``family``."""
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        family |= _descendants(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
            return True
    return False


def _descendants(process: subprocess.Popen[bytes]) -> set[psutil.Process]:
    try:
        return set(psutil.Process(process.pid).children(recursive=True))
    except psutil.Error:
        return set()


def _outlive(family: set[psutil.Process]) -> None:
    """Wait until all of them have ended; kill those that do not do so by themselves."""
    if not _gone(family):
        for each in filter(_lives, family):
            with contextlib.suppress(psutil.Error):
                each.kill()
        _gone(family)


def _gone(family: set[psutil.Process]) -> bool:
    """Whether all of them end within the time that is left to them."""
    deadline = time.monotonic() + _LINGER_SECONDS
    while alive := any(map(_lives, family)):
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return not alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill every process in the child's group (it leads one of its own)."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, for a message about why its writer failed."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def exit_with_parent(poll_seconds: float = 0.5) -> None:
    """Start a thread that ends this process as soon as its parent is gone.

    For processes that somebody else's code starts for us (a web server's workers), where no
    death signal could be asked for.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            never.wait(poll_seconds)
        os._exit(1)

    never = threading.Event()
    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
