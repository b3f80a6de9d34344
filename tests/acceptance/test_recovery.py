"""How fast a fabric of real processes comes back from each fault, against promised bounds."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.acceptance.fabrics import RunningFabric, wait_until
from tests.acceptance.herd import Ask, Caller, Told, again, herd
from tests.acceptance.lost_agents import seconds_until_claimed_again
from tests.acceptance.outside import AgentProcess, OutsideStores
from tests.acceptance.work import Jobs, batch

pytestmark = pytest.mark.timeout(180)

LEASE_SECONDS = 1.0
CLAIMED_AGAIN_SECONDS = LEASE_SECONDS + 1.0
DRIVEN_SECONDS = 5.0
"""Queued work runs again within this after Redis lost everything."""
ACCEPTED_SECONDS = 3.0
"""The first 201 comes within this once PostgreSQL accepts connections again."""
ANSWERED_SECONDS = 5.0
"""No request hangs for longer, whatever is away."""


@pytest.fixture(scope="module")
def outside(make_folder: Callable[[], Path]) -> Iterator[OutsideStores]:
    """Stores that the tests may end."""
    servers = OutsideStores(make_folder() / "stores")
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.fixture(scope="module")
def fabric(outside: OutsideStores, make_folder: Callable[[], Path]) -> Iterator[RunningFabric]:
    """A gateway with its control plane on these stores."""
    running = RunningFabric(
        make_folder() / "fabric",
        "gateway",
        DAEF_LEASE_SECONDS=str(LEASE_SECONDS),
        **outside.variables(),
    )
    try:
        yield running.wait_ready()
    finally:
        running.end()


@pytest.fixture(scope="module")
def jobs(fabric: RunningFabric) -> Iterator[Jobs]:
    """The callers' view of the fabric; `job-1` is there and over."""
    seen = Jobs(fabric)
    seen.cancel(seen.submit(1))
    yield seen
    seen.close()


@pytest.fixture
def start_agent(fabric: RunningFabric) -> Iterator[Callable[..., AgentProcess]]:
    """Starts agents; they end with the test."""
    with ExitStack() as ends:

        def start(slots: int, **variables: str) -> AgentProcess:
            agent = AgentProcess(fabric, slots, **variables)
            ends.callback(agent.end)
            return agent

        yield start


def test_tasks_of_lost_agents_are_claimed_again_within_a_second_of_their_leases(
    outside: OutsideStores, jobs: Jobs, start_agent: Callable[..., AgentProcess]
):
    times = seconds_until_claimed_again(outside.rows, jobs, start_agent)
    assert max(times) < CLAIMED_AGAIN_SECONDS, times


@pytest.fixture(scope="module")
def agent(fabric: RunningFabric) -> Iterator[AgentProcess]:
    """One agent that has to live through everything that follows."""
    process = AgentProcess(fabric, 4)
    yield process
    assert process.process.poll() is None, "the agent did not survive"
    process.end()


# ── Redis ─────────────────────────────────────────────────────────────────────────────────────────


def listening(outside: OutsideStores) -> bool:
    """Whether an agent waits for tickets."""
    with suppress(redis.RedisError):
        clients = outside.queue().client_list()
        return any(each["user"] == "agent" and each["cmd"] == "blmove" for each in clients)
    return False


def start_redis(outside: OutsideStores) -> None:
    outside.redis.launch()
    wait_until(outside.redis.answers)


def test_work_that_was_queued_when_redis_was_emptied_is_driven_again(
    outside: OutsideStores, jobs: Jobs, agent: AgentProcess
):
    jobs.run_one()
    # So that it cannot have taken its ticket, nor work, before all is lost.
    agent.send(signal.SIGSTOP)
    try:
        job = jobs.submit(4)
        assert outside.queue().flushall()
    finally:
        agent.send(signal.SIGCONT)
    wait_until(lambda: jobs.progress(job)["succeeded"] == 4, DRIVEN_SECONDS)


def test_a_job_in_the_middle_goes_on_when_redis_is_killed_and_starts_empty(
    outside: OutsideStores, jobs: Jobs, agent: AgentProcess
):
    job = jobs.submit(24, sleep_ms=200)
    wait_until(lambda: jobs.progress(job)["succeeded"] >= 4)
    before = jobs.progress(job)
    outside.end(outside.redis)
    start_redis(outside)
    assert before["running"] + before["queued"] > 0
    done = jobs.progress(job)["succeeded"]
    wait_until(lambda: jobs.progress(job)["succeeded"] > done, DRIVEN_SECONDS)
    wait_until(lambda: jobs.progress(job)["succeeded"] == 24)


def test_without_redis_work_is_accepted_and_driven_and_agents_come_back_to_it(
    outside: OutsideStores, jobs: Jobs, agent: AgentProcess
):
    wait_until(lambda: listening(outside))
    outside.end(outside.redis)
    back_at = time.monotonic() + 10
    try:
        job = jobs.submit(4)
        wait_until(lambda: jobs.progress(job)["succeeded"] == 4, DRIVEN_SECONDS)
        time.sleep(max(0.0, back_at - time.monotonic()))
    finally:
        start_redis(outside)
    wait_until(lambda: listening(outside), DRIVEN_SECONDS)
    jobs.run_one()


# ── PostgreSQL ────────────────────────────────────────────────────────────────────────────────────

SUBMIT = Ask("POST", "/v1/jobs", batch(1))
HEALTH = Ask("GET", "/healthz")
READY = Ask("GET", "/readyz")
OTHERS = [
    Ask("GET", "/v1/jobs"),
    Ask("GET", "/v1/jobs/job-1"),
    Ask("GET", "/v1/jobs/job-1/explain"),
    Ask("POST", "/v1/jobs?dry_run=true", batch(1)),
    Ask("POST", "/v1/jobs/job-1/cancel"),
    Ask("GET", "/admin/once/a-link-that-nobody-made"),
]


async def first_connection(outside: OutsideStores) -> float:
    """When PostgreSQL accepts a connection (monotonic seconds)."""
    while True:
        try:
            session = await psycopg.AsyncConnection.connect(outside.dsn, connect_timeout=2)
        except psycopg.OperationalError:
            await asyncio.sleep(0.01)
        else:
            await session.close()
            return time.monotonic()


async def first_201(host: str) -> Told:
    """Submit until it is accepted."""
    caller = Caller(host)
    while (told := await caller.ask(SUBMIT)).status != 201:
        await asyncio.sleep(0.02)
    await caller.hang_up()
    return told


@dataclass(frozen=True)
class Outage:
    """What callers were told, and when PostgreSQL ended, was launched, was back (monotonic s)."""

    told: list[Told]
    ended: float
    launched: float
    back: float
    first: Told


async def outage(outside: OutsideStores, host: str, by: signal.Signals, away: float) -> Outage:
    """End PostgreSQL under load and start it again."""
    stop = asyncio.Event()
    asks = again([SUBMIT, HEALTH, READY, *OTHERS], stop)
    load = asyncio.create_task(herd(host, asks, connections=60, pause=0.2))
    await asyncio.sleep(0.5)
    outside.end(outside.postgres, by)
    ended = time.monotonic()
    await asyncio.sleep(away)
    accepted = asyncio.create_task(first_201(host))
    launched = time.monotonic()
    outside.postgres.launch()
    back = await first_connection(outside)
    async with asyncio.timeout(30):
        first = await accepted
    stop.set()
    return Outage(await load, ended, launched, back, first)


def assert_told_well(seen: Outage) -> None:
    """Meanwhile every answer was a problem that says when to come back, and all came soon."""
    assert {each.status for each in seen.told} <= {200, 201, 410, 503}
    assert max(each.seconds for each in seen.told) < ANSWERED_SECONDS
    # Once it is launched, the gateway may reach it before this test does.
    meanwhile = [
        each for each in seen.told if each.asked_at > seen.ended and each.at < seen.launched
    ]
    assert len(meanwhile) > 20
    for each in meanwhile:
        if each.ask is HEALTH:
            assert each.status == 200
            continue
        assert each.status == 503, each
        assert int(each.headers["retry-after"]) >= 1
        if each.ask is READY:
            assert "does not answer" in each.document["checks"]["database"]
        elif each.ask.path.startswith("/v1"):
            assert each.headers["content-type"] == "application/problem+json"
            assert each.document["code"] == "unavailable"


@pytest.mark.parametrize(
    ("by", "away"), [(signal.SIGKILL, 4.0), (signal.SIGQUIT, 0.5)], ids=["kill -9", "immediate"]
)
def test_the_first_201_comes_within_three_seconds_of_postgres(
    outside: OutsideStores,
    fabric: RunningFabric,
    jobs: Jobs,
    agent: AgentProcess,
    by: signal.Signals,
    away: float,
):
    long = jobs.submit(40, sleep_ms=200)
    seen = asyncio.run(outage(outside, fabric.http, by, away))
    assert seen.first.at - seen.back < ACCEPTED_SECONDS
    assert_told_well(seen)
    accepted = {each.document["id"] for each in seen.told if each.status == 201}
    assert accepted <= {f"job-{number}" for (number,) in outside.rows("select id from job")}
    wait_until(lambda: jobs.progress(long)["succeeded"] == 40)


# ── too few connections ───────────────────────────────────────────────────────────────────────────


def limit_connections(outside: OutsideStores, most: int) -> None:
    """Let the fabric have no more sessions than this, and none that it has now."""
    with outside.session() as session:
        session.execute(f"alter role fabric connection limit {most}")
        session.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'fabric'"
        )


def assert_served_or_told_to_come_back(outside: OutsideStores, told: list[Told]) -> int:
    """Every submission was accepted and is there, or answered 503; how many were accepted."""
    assert {each.status for each in told} <= {201, 503}
    assert all(int(each.headers["retry-after"]) >= 1 for each in told if each.status == 503)
    assert max(each.seconds for each in told) < ANSWERED_SECONDS
    accepted = [each.document["id"] for each in told if each.status == 201]
    assert len(set(accepted)) == len(accepted)
    assert set(accepted) <= {f"job-{number}" for (number,) in outside.rows("select id from job")}
    return len(accepted)


def test_when_connections_are_scarce_submissions_are_served_or_told_to_come_back(
    outside: OutsideStores, fabric: RunningFabric, jobs: Jobs, agent: AgentProcess
):
    def submissions(most: int, count: int) -> list[Told]:
        limit_connections(outside, most)
        return asyncio.run(herd(fabric.http, [SUBMIT] * count, connections=60))

    try:
        # The control plane alone may use up three; of twelve some are left to the gateway.
        none, three, twelve = (submissions(most, 120) for most in (0, 3, 12))
    finally:
        limit_connections(outside, -1)
    assert {each.status for each in submissions(-1, 60)} == {201}
    assert {each.status for each in none} == {503}
    assert_served_or_told_to_come_back(outside, three)
    assert assert_served_or_told_to_come_back(outside, twelve) > 100
    jobs.run_one()


# ── locks that somebody holds ─────────────────────────────────────────────────────────────────────


@contextmanager
def held(outside: OutsideStores, *statements: str) -> Iterator[None]:
    """A session of somebody's that has locked what these statements select, and does not end."""
    with psycopg.connect(outside.dsn, connect_timeout=2) as session:
        for statement in statements:
            session.execute(statement)
        yield
        session.rollback()


def rows_of(job: str) -> list[str]:
    """Everything of a job that a session can lock."""
    number = int(job.removeprefix("job-"))
    return [
        f"select 1 from job where id = {number} for update",
        f"select 1 from task where job_id = {number} for update",
        f"select 1 from job_stage where job_id = {number} for update",
    ]


def test_a_session_that_holds_a_jobs_rows_holds_up_nobody_else(
    outside: OutsideStores, fabric: RunningFabric, jobs: Jobs, agent: AgentProcess
):
    stuck = jobs.submit(8, sleep_ms=300)
    wait_until(lambda: jobs.progress(stuck)["running"])
    asks = [Ask("POST", f"/v1/jobs/{stuck}/{action}") for action in ("suspend", "cancel")]
    with held(outside, *rows_of(stuck)):
        told = asyncio.run(herd(fabric.http, asks, connections=2))
        for _ in range(3):
            other = jobs.submit(4, sleep_ms=50)
            wait_until(partial(jobs.has_succeeded, other, 4), 15)
    for each in told:
        assert each.status == 503, each
        assert int(each.headers["retry-after"]) >= 1
        assert each.seconds < ANSWERED_SECONDS
    wait_until(lambda: jobs.progress(stuck)["succeeded"] == 8)


def test_a_session_that_holds_a_pools_lock_stops_claims_alone(
    outside: OutsideStores, jobs: Jobs, agent: AgentProcess
):
    running = jobs.submit(4, sleep_ms=500)
    wait_until(lambda: jobs.progress(running)["running"] == 4)
    with held(outside, "select pg_advisory_xact_lock(20261, id) from pool"):
        waiting = jobs.submit(4)
        wait_until(lambda: jobs.progress(running)["succeeded"] == 4, 15)
        assert jobs.progress(waiting)["running"] == 0
    wait_until(lambda: jobs.progress(waiting)["succeeded"] == 4, DRIVEN_SECONDS)


def no_more_threads_than(most: int, found: list[psutil.Process]) -> bool:
    return all(each.num_threads() <= most for each in found)


def test_sessions_and_threads_are_given_back(outside: OutsideStores, fabric: RunningFabric):
    """After all that this module did."""
    sessions = "select count(*) from pg_stat_activity where application_name = 'daef'"
    wait_until(lambda: outside.rows(sessions)[0][0] <= 10, 40)
    for name in ("granian", "controlplane"):
        found = [each for each in fabric.processes() if name in " ".join(each.cmdline())]
        wait_until(partial(no_more_threads_than, 48, found), 40)
