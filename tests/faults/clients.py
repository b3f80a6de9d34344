"""Clients that submit under faults and keep a history of what they were told."""

import json
import logging
import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

POISON_ATTEMPTS = 3
PATIENT_ATTEMPTS = 40
"""Attempts of ordinary tasks: so many that faults alone never bury one."""

GIVES_UP = 0.03
"""Share of submissions that are not sent again after an unclear answer."""


@dataclass(frozen=True)
class Order:
    """A job to submit: its body, how many tasks it must have, how many of them are poison."""

    key: str
    body: dict[str, Any]
    tasks: int
    poison: int = 0
    cancel: bool = False


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


class Orders:
    """Makes jobs of many shapes from a seed; safe to share between clients."""

    def __init__(self, seed: int, *, batch: int, lease_seconds: float) -> None:
        self._random = random.Random(f"{seed} orders")
        self._batch = batch
        self._lease_seconds = lease_seconds
        self._number = 0
        self._lock = threading.Lock()

    def next(self) -> Order:
        """The next job."""
        with self._lock:
            self._number += 1
            key = f"order-{self._number}"
            turn = self._random.random()
            if turn < 0.025:
                return self._poison(key)
            if turn < 0.18:
                return self._pipeline(key)
            return self._plain(key, cancel=turn > 0.96)

    def _body(self, key: str, **fields: Any) -> dict[str, Any]:
        priority = self._random.choice(["interactive", "standard", "standard", "batch"])
        return {
            "labels": {"key": key},
            "priority": priority,
            "max_attempts": PATIENT_ATTEMPTS,
            **fields,
        }

    def _plain(self, key: str, *, cancel: bool) -> Order:
        count = self._random.randint(self._batch // 2, self._batch * 3 // 2)
        requests = [self._request(f"{key}-{number}", number) for number in range(count)]
        return Order(key, self._body(key, type="batch", requests=requests), count, cancel=cancel)

    def _request(self, name: str, value: int) -> dict[str, Any]:
        return {
            "custom_id": name,
            "kind": "witness",
            "input": value,
            "parameters": {"sleep_ms": self._sleep()},
        }

    def _sleep(self) -> int:
        """Mostly short; some last a good part of a lease, a few longer than one."""
        lease = self._lease_seconds * 1000
        turn = self._random.random()
        if turn < 0.9:
            return self._random.randint(0, 30)
        return int(lease * self._random.uniform(0.2, 0.7 if turn < 0.985 else 1.8))

    def _pipeline(self, key: str) -> Order:
        width = self._random.randint(3, max(4, self._batch // 2))
        firsts = [f"{key}-a{number}" for number in range(width)]
        seconds = [f"{key}-b{number}" for number in range(width)]
        tasks = [
            *(self._node(name, needs=[]) for name in firsts),
            *(self._node(name, needs=[first]) for name, first in zip(seconds, firsts, strict=True)),
            self._node(f"{key}-end", collects=seconds),
        ]
        return Order(key, self._body(key, type="pipeline", tasks=tasks), 2 * width + 1)

    def _node(self, name: str, **edges: list[str]) -> dict[str, Any]:
        parameters = {"sleep_ms": self._sleep()}
        return {"name": name, "kind": "witness", "input": 7, "parameters": parameters, **edges}

    def _poison(self, key: str) -> Order:
        requests: list[dict[str, Any]] = [{"custom_id": key, "kind": "exit", "input": None}]
        body = self._body(key, type="batch", requests=requests) | {"max_attempts": POISON_ATTEMPTS}
        return Order(key, body, 1, poison=1)


class Load:
    """Threads that submit until ``stop`` is set; none begins while ``pause`` is."""

    def __init__(self, data: Path, http: int, orders: Orders, *, seed: int, clients: int) -> None:
        self.orders: dict[str, Order] = {}
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
        with httpx.Client(timeout=4.0) as http:
            while not self.stop.is_set():
                if self.pause.is_set():
                    self.stop.wait(0.05)
                    continue
                order = self._orders.next()
                self.orders[order.key] = order
                self._submit(http, history, order, gives_up=chooser.random() < GIVES_UP)
        history.close()

    def _submit(self, http: httpx.Client, history: History, order: Order, gives_up: bool) -> None:
        while True:
            job = self._try(http, history, order)
            if job or gives_up:
                break
            time.sleep(0.1)
        if job and order.cancel:
            self._cancel(http, history, order, job)

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
            refused = answer.status_code in (409, 429, 500, 503)
            said = {"status": answer.status_code, "text": answer.text[:300]}
            history.write("submit", "info" if refused else "fail", value | said)
            return ""
        job = str(answer.json()["id"])
        history.write("submit", "ok", value | {"job": job})
        return job

    def _cancel(self, http: httpx.Client, history: History, order: Order, job: str) -> None:
        history.write("cancel", "invoke", {"key": order.key})
        try:
            status = http.post(f"{self._url}/{job}/cancel").status_code
        except httpx.HTTPError:
            status = 0
        history.write("cancel", "ok" if status == 200 else "info", {"key": order.key})
