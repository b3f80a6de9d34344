"""Operators who do things to jobs during the storm, and keep a history of what they were told."""

import random
import threading
import time
from pathlib import Path

import httpx

from tests.faults.clients import TIMEOUT_SECONDS, Accepted, History, act

BETWEEN_SECONDS = 0.4
RECENT_JOBS = 12
LONGEST_REST_SECONDS = 2.0
POISON_RETRIES = 0.05
"""Share of retries that meet poison; the rest meets what fails at once and harms nobody."""


class Operator:
    """A thread that opens dead letters again, suspends jobs and resumes them, and asks for more
    than is allowed now and then. Once stopped, it only resumes what is suspended."""

    def __init__(self, data: Path, http: int, accepted: Accepted, *, seed: int) -> None:
        self.stop = threading.Event()
        self.over = threading.Event()
        self._url = f"http://127.0.0.1:{http}/v1/jobs"
        self._accepted = accepted
        self._random = random.Random(f"{seed} operator")
        self._history = History(data / "histories" / "operator.jsonl", "operator")
        self._suspended: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, when nothing is suspended any more."""
        self.stop.set()
        self.over.set()
        self._thread.join(2 * TIMEOUT_SECONDS)

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_SECONDS) as http:
            while not self.stop.wait(BETWEEN_SECONDS * self._random.uniform(0.5, 1.5)):
                self._once(http)
            while not self.over.wait(BETWEEN_SECONDS):
                self._resume_all(http)
        self._history.close()

    def _resume_all(self, http: httpx.Client) -> None:
        """Whatever is suspended, also by a request that was carried out late."""
        try:
            answer = http.get(self._url, params={"status": "Suspended", "limit": 50})
        except httpx.HTTPError:
            return
        if answer.status_code == 200:
            for job in answer.json()["items"]:
                act(http, self._history, f"{self._url}/{job['id']}", "resume")

    def _once(self, http: httpx.Client) -> None:
        rested = [job for job, until in self._suspended.items() if until < time.monotonic()]
        if rested:
            self._resume(http, rested[0])
        elif jobs := self._accepted.all():
            turn = self._random.random()
            if turn < 0.5:
                self._retry(http, [job for job, order in jobs if order.hopeless])
            elif turn < 0.85:
                self._suspend(http, [job for job, order in jobs[-RECENT_JOBS:] if not order.cancel])
            else:
                self._ask_too_much(http, [job for job, order in jobs if order.cancel])

    def _retry(self, http: httpx.Client, jobs: list[str]) -> None:
        doomed = {job for job, order in self._accepted.all() if order.hopeless > 1}
        poison = self._random.random() < POISON_RETRIES
        jobs = [job for job in jobs if (job in doomed) != poison]
        if jobs:
            act(http, self._history, f"{self._url}/{self._random.choice(jobs)}", "retry")

    def _suspend(self, http: httpx.Client, jobs: list[str]) -> None:
        if not jobs:
            return
        job = self._random.choice(jobs)
        # Before the answer: an unclear one may have been done.
        self._suspended[job] = time.monotonic() + self._random.uniform(0.2, LONGEST_REST_SECONDS)
        act(http, self._history, f"{self._url}/{job}", "suspend")

    def _resume(self, http: httpx.Client, job: str) -> None:
        if act(http, self._history, f"{self._url}/{job}", "resume"):
            del self._suspended[job]

    def _ask_too_much(self, http: httpx.Client, jobs: list[str]) -> None:
        """A cancelled job can be neither retried nor suspended."""
        if jobs:
            action = self._random.choice(["retry", "suspend", "resume"])
            act(http, self._history, f"{self._url}/{self._random.choice(jobs)}", action)
