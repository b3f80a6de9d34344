"""A thundering herd at the gateway: nothing but 201, 429 and 503, and each 201 is there."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.fabrics import RunningFabric, wait_until
from tests.acceptance.herd import Ask, Told, again, herd
from tests.acceptance.work import batch

pytestmark = pytest.mark.timeout(400)

CONNECTIONS = 200
SUBMISSIONS = 10_000
PER_MINUTE = 1_000
"""What each tenant may submit a minute."""
MODEST = ("first", "second", "third")
GREEDY = "greedy"
HEALTH_SECONDS = 2.0
"""Health is answered within this during the herd and right after it."""
TOKEN = "herd-token"


@pytest.fixture(scope="module")
def fabric(make_folder: Callable[[], Path]) -> Iterator[RunningFabric]:
    """A gateway and its control plane, without agents: the herd is all there is to do."""
    running = RunningFabric(
        make_folder() / "herd",
        "gateway",
        DAEF_SUBMIT_RATE_LIMIT_PER_MIN=str(PER_MINUTE),
        DAEF_API_TOKENS=f"{TOKEN}:tenant:*",
    )
    try:
        yield running.wait_ready()
    finally:
        running.end()


def rows(fabric: RunningFabric, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Ask the fabric's own database."""
    with psycopg.connect(fabric.facts().postgres_dsn) as connection:
        return connection.execute(statement, parameters).fetchall()


def submission(tenant: str, mark: str, **headers: str) -> Ask:
    """A submission that can be told from all others by its label."""
    body = batch(1) | {"tenant": tenant, "labels": {"mark": mark}}
    return Ask("POST", "/v1/jobs", body, {"Authorization": f"Bearer {TOKEN}", **headers})


def mark_of(told: Told) -> str:
    """The label of the submission that was answered."""
    return str(told.ask.body["labels"]["mark"])


def submissions() -> list[Ask]:
    """As many as there are to be: three tenants use up their limit, the fourth goes far beyond."""
    asks = [submission(MODEST[n % 3], f"m-{n}") for n in range(3 * PER_MINUTE)]
    asks += [submission(GREEDY, f"g-{n}") for n in range(SUBMISSIONS - len(asks))]
    random.Random(1).shuffle(asks)
    return asks


async def with_health(host: str, asks: list[Ask]) -> tuple[list[Told], list[Told]]:
    """The herd's answers, and those about health during it and right after it."""
    stop = asyncio.Event()
    health = [Ask("GET", "/healthz")]
    watch = asyncio.create_task(herd(host, again(health, stop), connections=1, pause=0.2))
    told = await herd(host, asks, connections=CONNECTIONS)
    stop.set()
    after = await herd(host, [*health, Ask("GET", "/readyz")], connections=1)
    return told, [*await watch, *after]


def test_ten_thousand_submissions_over_two_hundred_connections(fabric: RunningFabric):
    told, health = asyncio.run(with_health(fabric.http, submissions()))
    counts = Counter(each.status for each in told)
    assert set(counts) <= {201, 429, 503}, counts
    assert counts.total() == SUBMISSIONS
    assert counts[201] > 3 * PER_MINUTE, counts
    for each in told:
        if each.status != 201:
            assert int(each.headers["retry-after"]) >= 1
            assert each.headers["content-type"] == "application/problem+json"
    assert_each_201_is_there_once(fabric, told)
    assert_the_limit_was_kept_exactly(fabric, told)
    assert len(health) > 5
    assert {each.status for each in health} == {200}
    assert max(each.seconds for each in health) < HEALTH_SECONDS


def assert_each_201_is_there_once(fabric: RunningFabric, told: list[Told]) -> None:
    """The jobs that are there are those that callers were told of, each with its task."""
    accepted = [
        (int(each.document["id"].removeprefix("job-")), mark_of(each))
        for each in told
        if each.status == 201
    ]
    kept = rows(
        fabric,
        "select j.id, j.labels ->> 'mark' from job j join task t on t.job_id = j.id "
        "join ready r on r.task_id = t.id where j.labels ->> 'mark' like any(array['m-%', 'g-%'])",
    )
    assert sorted(kept) == sorted(accepted)


def assert_the_limit_was_kept_exactly(fabric: RunningFabric, told: list[Told]) -> None:
    """No minute has more than the limit, and who was refused met a full one."""
    minutes = rows(
        fabric,
        "select floor(extract(epoch from j.created_at) / 60)::int, count(*) from job j "
        "join tenant on tenant.id = j.tenant_id where tenant.name = %s group by 1 order by 1",
        [GREEDY],
    )
    assert {each.ask.body["tenant"] for each in told if each.status == 429} == {GREEDY}
    # A submission may be counted just before a minute ends, and stored just after.
    full = [count for _, count in minutes if abs(count - PER_MINUTE) <= CONNECTIONS]
    assert full, minutes
    assert sum(count for _, count in minutes) <= PER_MINUTE * len(minutes), minutes


def test_half_of_the_callers_hang_up_and_each_key_has_one_job(fabric: RunningFabric):
    marks = [f"key-{n}" for n in range(300)]
    asks = [submission("keyed", mark, **{"Idempotency-Key": mark}) for mark in marks]
    first = [replace(ask, hang_up=n % 2 == 0) for n, ask in enumerate(asks)]
    told = asyncio.run(herd(fabric.http, first, connections=CONNECTIONS))
    assert {each.status for each in told if not each.ask.hang_up} <= {201, 503}
    jobs = {mark_of(each): each.document["id"] for each in told if each.status == 201}
    assert jobs
    again: dict[str, str] = {}

    def ask_again() -> bool:
        waiting = [ask for mark, ask in zip(marks, asks, strict=True) if mark not in again]
        for each in asyncio.run(herd(fabric.http, waiting, connections=CONNECTIONS)):
            # 409: the first request of this key is still being worked on.
            assert each.status in (201, 409, 503), each
            if each.status == 201:
                again[mark_of(each)] = each.document["id"]
        return len(again) == len(marks)

    wait_until(ask_again)
    assert again.items() >= jobs.items()
    statement = (
        "select labels ->> 'mark', 'job-' || id from job where labels ->> 'mark' like 'key-%%'"
    )
    assert sorted(rows(fabric, statement, [])) == sorted(again.items())


def test_threads_and_sessions_of_the_herd_are_given_back(fabric: RunningFabric):
    gateway = max(
        (each for each in fabric.processes() if "granian" in " ".join(each.cmdline())),
        key=lambda process: process.num_threads(),
    )
    sessions = "select count(*) from pg_stat_activity where application_name = 'daef'"
    # Four loops and a few calls of the control plane; a request or two of the gateway.
    wait_until(lambda: rows(fabric, sessions)[0][0] <= 10, 40)
    wait_until(lambda: gateway.num_threads() <= 24, 40)
