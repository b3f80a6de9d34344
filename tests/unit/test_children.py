"""The end of processes that were started, and of all that these started."""

import os
import time
from pathlib import Path

import psutil
import pytest

from daef_site import children


def test_the_end_of_a_child_ends_a_descendant_in_a_session_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "_LINGER_SECONDS", 0.2)
    script = "setsid sleep 300 & trap 'exit 0' TERM; while true; do sleep 0.02; done"
    child = children.spawn(["/bin/bash", "-c", script], log=tmp_path / "log")
    descendant = wait_for_descendant(child.pid, "sleep 300")
    children.end(child)
    assert not descendant.is_running() or descendant.status() == psutil.STATUS_ZOMBIE


def test_the_end_of_a_child_waits_for_a_descendant_that_ends_by_itself(tmp_path: Path):
    ended = tmp_path / "ended"
    script = f"setsid bash -c 'sleep 0.5; touch {ended}' & trap 'exit 0' TERM; sleep 300 & wait"
    child = children.spawn(["/bin/bash", "-c", script], log=tmp_path / "log")
    wait_for_descendant(child.pid, "touch")
    children.end(child)
    assert ended.exists()


def wait_for_descendant(pid: int, words: str) -> psutil.Process:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for each in psutil.Process(pid).children(recursive=True):
            if words in " ".join(each.cmdline()) and os.getsid(each.pid) == each.pid:
                return each
        time.sleep(0.01)
    raise AssertionError(f"no process with {words!r} below {pid}")
