"""Real fabrics in data folders of their own, for the tests that need whole processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from daef_site import fabric, ports

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true answer of ``condition``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {condition}")


class RunningFabric:
    """``manage.py <command>`` of a source tree as a process, in ``data``, on free ports."""

    tree = ROOT

    def __init__(self, data: Path, command: str = "gateway", *arguments: str, **variables: str):
        self.data = data
        self.http = f"127.0.0.1:{ports.free_port()}"
        self.grpc = f"127.0.0.1:{ports.free_port()}"
        inherited = {name: text for name, text in os.environ.items() if name[:5] != "DAEF_"}
        self.environment = inherited | {
            "DAEF_DATA_DIR": str(data),
            "DAEF_HTTP_ADDR": self.http,
            "DAEF_GRPC_ADDR": self.grpc,
            **variables,
        }
        data.mkdir(exist_ok=True)
        self.output = data.parent / f"{data.name}.{self.http[-5:]}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", command, *arguments],
                cwd=self.tree,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        """What stands on its terminal so far."""
        return self.output.read_text()

    def wait_ready(self, seconds: float = 60) -> "RunningFabric":
        """Wait until the gateway and its stores answer."""
        wait_until(lambda: self.process.poll() is not None or self.ready(), seconds)
        assert self.process.poll() is None, self.said()
        return self

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            answer = httpx.get(f"http://{self.http}/readyz", timeout=5)
        except httpx.HTTPError:
            return False
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    def facts(self) -> fabric.Fabric:
        """The content of its fabric.json."""
        found = fabric.living(self.data)
        assert found is not None, self.said()
        return found

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(40)

    def processes(self) -> list[psutil.Process]:
        """Every living process of this data folder, whoever started it."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            mine = process.environ().get("DAEF_DATA_DIR") == str(self.data)
            return mine and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def process_named(self, words: str) -> psutil.Process | None:
        """The oldest process of the folder whose command line has these words."""
        found = [each for each in self.processes() if words in _command_line(each)]
        return min(found, key=lambda process: process.create_time(), default=None)


def _command_line(process: psutil.Process) -> str:
    """Its words; "" for a process that ends just now."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
