"""Clients that submit under faults and keep a history of what they were told."""

import json
import logging
import os
import random
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from tests.faults.orders import Order, Orders

GIVES_UP = 0.03
"""Share of submissions that are not sent again after an unclear answer."""

UNCLEAR = (409, 429, 500, 503)
"""Answers after which a submission is sent again, with the same key."""

TIMEOUT_SECONDS = 4.0


class History:
    """One client's JSON lines: t, process, f, type (invoke, ok, info, fail), value."""

    def __init__(self, path: Path, process: str) -> None:
        self._process = process
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, what: str, kind: str, value: dict[str, Any]) -> None:
        """Append a line in one write."""
        line = {"t": time.time(), "process": self._process, "f": what, "type": kind, "value": value}
        os.write(self._handle, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class Accepted:
    """The jobs that clients were told of, for whoever wants to do something to one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[tuple[str, Order]] = []

    def add(self, job: str, order: Order) -> None:
        """Note a 201."""
        with self._lock:
            self._jobs.append((job, order))

    def all(self) -> list[tuple[str, Order]]:
        """Jobs by name with their orders, the oldest first."""
        with self._lock:
            return list(self._jobs)


class Load:
    """Threads that submit until ``stop`` is set; none begins while ``pause`` is."""

    def __init__(self, data: Path, http: int, orders: Orders, *, seed: int, clients: int) -> None:
        self.orders: dict[str, Order] = {}
        self.accepted = Accepted()
        self.stop = threading.Event()
        self.pause = threading.Event()
        self._url = f"http://127.0.0.1:{http}/v1/jobs"
        self._orders = orders
        self._histories = data / "histories"
        self._histories.mkdir()
        self._threads = [
            threading.Thread(target=self._run, args=(f"client-{n}", seed), daemon=True)
            for n in range(clients)
        ]

    def start(self) -> None:
        """Begin to submit."""
        logging.getLogger("httpx").setLevel(logging.WARNING)
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether a client still waits for an answer."""
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, name: str, seed: int) -> None:
        chooser = random.Random(f"{seed} {name}")
        history = History(self._histories / f"{name}.jsonl", name)
        with httpx.Client(timeout=TIMEOUT_SECONDS) as http:
            while not self.stop.is_set():
                if self.pause.is_set():
                    self.stop.wait(0.05)
                    continue
                order = self._orders.next()
                self.orders[order.key] = order
                self._submit(http, history, order, gives_up=chooser.random() < GIVES_UP)
        history.close()

    def _submit(self, http: httpx.Client, history: History, order: Order, gives_up: bool) -> None:
        while not (job := self._try(http, history, order)) and not gives_up:
            time.sleep(0.1)
        if job and order.cancel:
            act(http, history, f"{self._url}/{job}", "cancel")
        if job:
            self.accepted.add(job, order)

    def _try(self, http: httpx.Client, history: History, order: Order) -> str:
        """One request; the job's name when the answer was clear, else nothing."""
        value: dict[str, Any] = {"key": order.key}
        history.write("submit", "invoke", value)
        try:
            answer = http.post(self._url, json=order.body, headers={"Idempotency-Key": order.key})
        except httpx.HTTPError as error:
            history.write("submit", "info", value | {"error": type(error).__name__})
            return ""
        if answer.status_code != 201:
            said = {"status": answer.status_code, "text": answer.text[:300]}
            kind = "info" if answer.status_code in UNCLEAR else "fail"
            history.write("submit", kind, value | said)
            return ""
        job = str(answer.json()["id"])
        history.write("submit", "ok", value | {"job": job})
        return job


def act(http: httpx.Client, history: History, url: str, action: str) -> bool:
    """One request about a job, on record; whether the answer was clear.

    Clear is a success (with what was reopened), or a refusal by a rule (404 or 409).
    """
    value: dict[str, Any] = {"job": url.rpartition("/")[2], "request": uuid.uuid4().hex}
    history.write(action, "invoke", value)
    try:
        answer = http.post(f"{url}/{action}", headers={"X-Request-Id": value["request"]})
    except httpx.HTTPError as error:
        history.write(action, "info", value | {"error": type(error).__name__})
        return False
    value["status"] = answer.status_code
    if answer.status_code == 200:
        history.write(action, "ok", value | {"reopened": answer.json().get("reopened")})
        return True
    refused = answer.status_code in (404, 409)
    history.write(action, "fail" if refused else "info", value | {"text": answer.text[:300]})
    return refused
