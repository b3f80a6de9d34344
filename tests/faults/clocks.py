"""Clocks that are wrong, by libfaketime: a process reads its clock through a file we write."""

import importlib.util
import os
from pathlib import Path

import psutil

RIGHT = "+0"
WRONG = {"an hour ahead": "+3600", "an hour late": "-3600", "at double rate": "+0 x2"}
"""What a file may say, by what people call it."""

_INSTALLED = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
_SHARED = Path("/dev/shm")


def library() -> Path | None:
    """The library that lies about the time: the wheel's, or the machine's own; None without."""
    spec = importlib.util.find_spec("libfaketime")
    found = []
    if spec is not None and spec.origin is not None and os.uname()[::4] == ("Linux", "x86_64"):
        vendor = Path(spec.origin).parent / "vendor" / "libfaketime" / "src"
        found = [vendor / "libfaketime.so.1"]
    for folder in _INSTALLED:
        found += sorted(Path("/").glob(f"{folder[1:]}/libfaketime.so.1"))
    return next((path for path in found if path.exists()), None)


class Clock:
    """The clock of one process and its children; right at first."""

    def __init__(self, file: Path, faketime: Path) -> None:
        self._file = file
        self._faketime = faketime
        self.set(RIGHT)

    def set(self, what: str) -> None:
        """Make it say something else from within a second on."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{what}\n", encoding="ascii")
        fresh.rename(self._file)

    def environment(self) -> dict[str, str]:
        """What makes a process read this clock. Durations (the monotonic clock) stay right."""
        return {
            "LD_PRELOAD": str(self._faketime),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


def clear_shared_memory() -> None:
    """Remove what libfaketime left of processes that were killed."""
    for path in [*_SHARED.glob("faketime_shm_*"), *_SHARED.glob("sem.faketime_sem_*")]:
        pid = path.name.rpartition("_")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            path.unlink(missing_ok=True)
