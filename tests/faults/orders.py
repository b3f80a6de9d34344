"""Jobs of many shapes, from a seed, each with what must become of it."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.faults import foundation

PATIENT_ATTEMPTS = 60
"""Attempts of ordinary tasks: so many that faults alone never bury one."""


class Poison(NamedTuple):
    """A task that never succeeds but ends after exactly its attempts."""

    kind: str
    parameters: dict[str, Any]
    attempts: int = 3


POISON = {
    "exit": Poison("exit", {}),
    "segfault": Poison("segfault", {}),
    "out of memory": Poison("out_of_memory", {"megabytes": 96}),
    # Each attempt takes its agent two or three seconds.
    "spin": Poison("spin", {}, attempts=2),
    "spin alone": Poison("spin", {"alone": True}, attempts=1),
}
ENDLESS = "spin"

HARMLESS = {"huge_result": {"bytes": 700_000}, "loud": {"kilobytes": 512}}
"""Tasks that only look dangerous."""

TENTH_OF_A_CENT = 0.001
MONEY_TASKS = 12
"""Tasks of a job with a budget. A task reserves up to 0.4 and costs about 0.14 thousandths of a
dollar, so that a tenth of a cent pays for about half of them."""


@dataclass(frozen=True)
class Order:
    """A job to submit: its body, how many tasks it must have, and how it may end.

    ``hopeless`` tasks end as dead letters, all others succeed unless the order is cancelled or
    ``poor`` (its budget does not last).
    """

    key: str
    body: dict[str, Any]
    tasks: int
    hopeless: int = 0
    cancel: bool = False
    poor: bool = False


class Orders:
    """Makes jobs; safe to share between clients."""

    def __init__(self, seed: int, *, batch: int, lease_seconds: float) -> None:
        self._random = random.Random(f"{seed} orders")
        self._batch = batch
        self._lease_seconds = lease_seconds
        self._number = 0
        self._lock = threading.Lock()
        self._first = [*POISON, *HARMLESS, "doomed", "money", "solo", "limited", "small", "tiny"]
        self._random.shuffle(self._first)
        self._kinds = {
            "plain": (52, self._plain),
            "tiny": (10, self._tiny),
            "pipeline": (12, self._pipeline),
            "limited": (7, self._limited),
            "small": (4, self._small),
            "solo": (7, self._solo),
            "money": (4, self._money),
            "doomed": (3, self._doomed),
            "poison": (1, self._some_poison),
        }

    def next(self) -> Order:
        """The next job: those of every kind come early, then chance alone decides."""
        with self._lock:
            self._number += 1
            key = f"order-{self._number}"
            if self._number % 2 == 0 and self._first:
                return self._of_kind(self._first.pop(), key)
            weights = [weight for weight, _ in self._kinds.values()]
            return self._of_kind(self._random.choices(list(self._kinds), weights)[0], key)

    def _of_kind(self, kind: str, key: str) -> Order:
        if kind in POISON:
            return self._poison(key, kind)
        if kind in HARMLESS:
            return self._harmless(key, kind)
        return self._kinds[kind][1](key)

    def _body(self, key: str, **fields: Any) -> dict[str, Any]:
        priority = self._random.choice(["interactive", "standard", "standard", "batch"])
        return {
            "labels": {"key": key},
            "priority": priority,
            "max_attempts": PATIENT_ATTEMPTS,
            **fields,
        }

    def _batch_of(self, key: str, requests: Sequence[dict[str, Any]], **fields: Any) -> Order:
        named = [{"custom_id": f"{key}-{n}", **request} for n, request in enumerate(requests)]
        return Order(key, self._body(key, type="batch", requests=named, **fields), len(named))

    def _witness(self, value: int, **parameters: Any) -> dict[str, Any]:
        return {
            "kind": "witness",
            "input": value,
            "parameters": {"sleep_ms": self._sleep(), **parameters},
        }

    def _sleep(self) -> int:
        """Mostly short; some last a good part of a lease, a few longer than one."""
        lease = self._lease_seconds * 1000
        turn = self._random.random()
        if turn < 0.93:
            return self._random.randint(5, 30)
        return int(lease * self._random.uniform(0.2, 0.7 if turn < 0.985 else 1.8))

    def _plain(self, key: str) -> Order:
        count = self._random.randint(self._batch // 2, self._batch * 3 // 2)
        made = self._batch_of(key, [self._mixed(value) for value in range(count)])
        cancel = self._random.random() < 0.05
        return Order(made.key, made.body, made.tasks, cancel=cancel)

    def _tiny(self, key: str) -> Order:
        """So short that agents take them by the hundred and hold far more than they run."""
        return self._batch_of(key, [self._witness(n, sleep_ms=0) for n in range(2 * self._batch)])

    def _mixed(self, value: int) -> dict[str, Any]:
        """A few fail once before they succeed: what is heard of that too late must not count."""
        if self._random.random() < 0.02:
            return self._witness(value, fail_attempts=1)
        return self._witness(value)

    def _limited(self, key: str) -> Order:
        """A job that runs only so many tasks at once."""
        requests = [self._witness(n, sleep_ms=self._random.randint(5, 60)) for n in range(16)]
        return self._batch_of(key, requests, max_parallelism=self._random.randint(1, 4))

    def _small(self, key: str) -> Order:
        """Of a tenant that runs only so many tasks at once."""
        requests = [self._witness(n, sleep_ms=self._random.randint(5, 60)) for n in range(16)]
        return self._batch_of(key, requests, tenant=foundation.SMALL_TENANT)

    def _solo(self, key: str) -> Order:
        """For the pool with one agent: whatever fails there comes back to the same hands."""
        long = self._lease_seconds * 1000
        requests = [
            self._witness(n, fail_attempts=1, sleep_ms=int(long * self._random.uniform(0.1, 0.9)))
            for n in range(4)
        ]
        requests += [self._witness(n) for n in range(4, 16)]
        return self._batch_of(key, requests, policy=foundation.SOLO_POOL)

    def _money(self, key: str) -> Order:
        """Each task costs something; half of these jobs cannot pay for all of theirs."""
        poor = self._random.random() < 0.5
        requests = [
            {
                "kind": "chat",
                "input": f"What does {n} cost?",
                "model": foundation.PRICED_MODEL,
                "parameters": {"max_tokens": 16},
            }
            for n in range(MONEY_TASKS)
        ]
        budget = {"limit_usd": TENTH_OF_A_CENT * (1 if poor else 30)}
        made = self._batch_of(key, requests, budget=budget)
        return Order(made.key, made.body, made.tasks, poor=poor)

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
        return {"name": name, **self._witness(7), **edges}

    def _doomed(self, key: str) -> Order:
        """Two dead letters at once, for operators to open again."""
        requests = [{"kind": "fail", "input": None}] * 2 + [self._witness(n) for n in range(2, 6)]
        made = self._batch_of(key, requests)
        return Order(made.key, made.body, made.tasks, hopeless=2)

    def _some_poison(self, key: str) -> Order:
        return self._poison(key, self._random.choice(list(POISON)))

    def _poison(self, key: str, name: str) -> Order:
        poison = POISON[name]
        request = {"kind": poison.kind, "input": None, "parameters": poison.parameters}
        policy = {"policy": foundation.IMPATIENT} if poison.kind == ENDLESS else {}
        made = self._batch_of(key, [request], max_attempts=poison.attempts, **policy)
        return Order(made.key, made.body, made.tasks, hopeless=1)

    def _harmless(self, key: str, kind: str) -> Order:
        request = {"kind": kind, "input": None, "parameters": HARMLESS[kind]}
        return self._batch_of(key, [request])
