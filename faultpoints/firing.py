"""Arming a process, and what happens where an armed one passes a fault point."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from faultpoints.plan import VARIABLE, BadFaults, Fault, parse_faults

ALLOWED_BY = ("DAEF_TEST_KINDS", "DAEF_DEBUG")
_TRUE = frozenset({"1", "true", "yes", "on"})


class FaultRaised(Exception):
    """What the action ``raise`` raises."""


_armed: dict[str, Fault] = {}
_hits: dict[str, int] = {}
_lock = threading.Lock()
_folder = Path()


def arm(environment: Mapping[str, str], folder: Path) -> None:
    """Make this process obey ``DAEF_FAULTS``; what fires is noted in ``folder``/faults.log.

    Raises BadFaults when the variable is wrong, or set where it may not be.
    """
    global _folder
    text = environment.get(VARIABLE, "").strip()
    if text and not any(environment.get(name, "").strip().lower() in _TRUE for name in ALLOWED_BY):
        raise BadFaults(
            "is for tests: it stops this process at named points. Unset it, or set "
            "DAEF_TEST_KINDS=1 on a fabric that is under test."
        )
    faults = parse_faults(text)
    with _lock:
        _folder = folder
        _hits.clear()
        _armed.clear()
        _armed.update(faults)


def reach(point: str) -> None:
    """Pass a fault point. Raises FaultRaised when the point is armed so."""
    fault = _armed.get(point)
    if fault is not None:
        _hit(fault)


def _hit(fault: Fault) -> None:
    with _lock:
        _hits[fault.point] = _hits.get(fault.point, 0) + 1
        due = _hits[fault.point] == fault.hit and _first_of_session(fault.point)
    if due:
        _note(fault)
        _act(fault)


def _first_of_session(point: str) -> bool:
    """An agent starts its runner anew after each death: a point fires once in all of them."""
    folder = _folder / "faults.fired"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / f"{os.getsid(0)}.{point}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _note(fault: Fault) -> None:
    """Write the line past every buffer, since the process may not live to flush one."""
    line = f"fault fired: {fault.point} {fault.action}\n"
    os.write(2, line.encode())
    handle = os.open(_folder / "faults.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, f"{time.time():.6f} {os.getpid()} {line}".encode())
    finally:
        os.close(handle)


def _act(fault: Fault) -> None:
    match fault.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "delay":
            time.sleep(fault.milliseconds / 1000)
        case _:
            raise FaultRaised(fault.point)
