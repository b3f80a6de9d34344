"""The demo as people run it: from nothing to the printed report, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from client.local_fabric import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
TRUTH = CHECKOUT / "examples" / "tickets-truth.json"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def environment(data: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DAEF_") and name not in ("KEEP", "DJANGO_SETTINGS_MODULE")
    }
    return kept | {"DAEF_DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"} | more


def own_ports() -> dict[str, str]:
    return {name: f"127.0.0.1:{free_port()}" for name in ("DAEF_HTTP_ADDR", "DAEF_GRPC_ADDR")}


def start_demo(variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "client", "demo", *arguments],
        cwd=CHECKOUT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def processes_of(data: Path) -> list[psutil.Process]:
    """Whatever runs with this data folder in its environment or command line."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [process.environ().get("DAEF_DATA_DIR", ""), *process.cmdline()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(str(data) in text for text in told):
            found.append(process)
    return found


def await_none_left(data: Path, seconds: float = 30) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (left := processes_of(data)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


@pytest.fixture
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    # Root's PostgreSQL runs as nobody, who must be able to pass through.
    for parent in (folder, folder.parent, folder.parent.parent):
        if parent.stat().st_uid == os.geteuid():
            parent.chmod(0o711)
    return folder / "data"


def groups_of(report: dict[str, Any]) -> dict[str, int]:
    """The rank of each ticket's cause in the report, 0 for those left unexplained."""
    pairs = [(one, cause["rank"]) for cause in report["causes"] for one in cause["document_ids"]]
    pairs += [(one, 0) for one in report["unexplained"]["document_ids"]]
    assert len(pairs) == len(dict(pairs)), "a ticket is in two lists"
    return dict(pairs)


def test_the_demo_finds_the_hidden_causes_and_leaves_nothing_behind(data):
    with start_demo(environment(data, **own_ports())) as demo:
        output = demo.communicate(timeout=380)[0]
    assert demo.returncode == 0, output
    assert "500 support tickets → job-1" in output
    assert "causes explain" in output
    assert "found by the program" in " ".join(output.split())

    report = json.loads((data / "reports" / "demo.json").read_text(encoding="utf-8"))
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    groups = groups_of(report)
    assert set(groups) == set(truth)
    for cause in set(truth.values()) - {""}:
        sizes = Counter(groups[ticket] for ticket in truth if truth[ticket] == cause)
        rank, number = sizes.most_common(1)[0]
        members = [ticket for ticket in groups if groups[ticket] == rank]
        assert rank, f"{cause} was not found"
        assert number >= 0.8 * sizes.total(), f"{cause} is split: {sizes}"
        assert number >= 0.8 * len(members), f"{cause} is mixed with others"
    for cause in report["causes"]:
        assert {piece["id"] for piece in cause["evidence"]} <= set(cause["document_ids"])
    html = (data / "reports" / "demo.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert await_none_left(data) == []


def test_an_interrupted_demo_stops_its_fabric(data):
    with start_demo(environment(data, **own_ports())) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "→ job-1" in line:
                demo.send_signal(signal.SIGINT)
                break
        demo.communicate(timeout=120)
    assert demo.returncode == 130
    assert await_none_left(data) == []


def test_a_killed_demo_takes_its_fabric_with_it(data):
    with start_demo(environment(data, **own_ports())) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "→ job-1" in line:
                demo.kill()
                break
        demo.wait()
    assert await_none_left(data, 60) == []


def test_a_demo_that_cannot_start_says_why(data):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        variables = environment(data, **own_ports() | {"DAEF_HTTP_ADDR": f"127.0.0.1:{port}"})
        with start_demo(variables) as demo:
            output = demo.communicate(timeout=120)[0]
    assert demo.returncode == 2
    assert f"127.0.0.1:{port}" in output
    assert await_none_left(data) == []
