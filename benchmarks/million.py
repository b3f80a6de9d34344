"""What operators wait for with a million tasks in the database: ``python -m benchmarks.million``.

Starts a fabric of its own without agents (embedded stores, free ports, temporary data), fills it
by SQL as submissions and settlements would have left it, and asks each address several times; the
console is asked as the local operator sees it. The shape is meant to be hard: half the tasks wait
in ten jobs, two hundred thousand open jobs have one task each, a hundred thousand tasks are dead
letters of twenty causes. What a gateway keeps for a moment is asked for when that has passed, so
that each answer is made anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

from benchmarks.throughput import environment
from client import Client
from client.local_fabric import started
from daef_site import fabric
from jobs.policies.causes import fingerprint

TARGET_SECONDS = 0.3
ADDRESSES = (
    "/v1/metrics",
    "/v1/metrics/prometheus",
    "/v1/jobs?limit=50",
    "/v1/jobs/{job}/tasks",
    "/v1/admin/queue/dead-letter?limit=50",
    "/v1/admin/queue/dead-letter?group_by=cause",
    "/admin/figures/",
    "/admin/jobs/job/",
    "/admin/jobs/job/{job}/",
    "/admin/jobs/task/",
    "/admin/jobs/task/?status=Running",
    "/admin/jobs/task/?status=DeadLettered",
    "/admin/jobs/task/?status=Succeeded&error_code=none",
    "/admin/jobs/deadletter/",
    "/admin/jobs/deadletter/?cause={cause}",
    "/admin/audit/auditentry/",
)
KEPT_SECONDS = {"/admin/figures/": 2.1}
"""How long a gateway keeps what it answered, by address."""

# Jobs, tasks of each, and the status they are in.
SHAPE = ((10, 50_000, "Queued"), (200_000, 1, "Queued"), (4, 50_000, "Succeeded"))
DEAD = (2, 50_000, "DeadLettered")
CAUSE_NAMES = tuple(fingerprint(f"broken_{number}", "it broke") for number in range(20))

COLUMNS = """
select string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns
where table_name = %s and table_schema = 'public'
"""


def main() -> int:
    """Measure and print; exit status 1 when an address takes longer than it may."""
    options = _options()
    print(f"{platform.platform()} · {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="daef-bench-") as data:
        # Root's PostgreSQL runs as nobody, who must be able to pass through.
        os.chmod(data, 0o711)
        with (
            started(environment(data), "--agents", "0") as running,
            Client(running.url, retry_seconds=60) as client,
        ):
            job = client.jobs.submit({"type": "batch", "requests": [_request()]})
            living = fabric.living(Path(data))
            assert living is not None
            with psycopg.connect(living.postgres_dsn, autocommit=True) as connection:
                _fill(connection, int(job["id"].removeprefix("job-")))
                _tell(connection)
            names = {
                "job": f"job-{int(job['id'].removeprefix('job-')) + 1}",
                "cause": CAUSE_NAMES[0],
            }
            with httpx.Client(base_url=running.url, timeout=60) as http:
                _log_in(http, environment(data))
                return max(_measure(http, a.format(**names), options) for a in ADDRESSES)


def _log_in(http: httpx.Client, variables: dict[str, str]) -> None:
    """Become the local operator, by a link as `make up` prints it."""
    told = subprocess.run(
        [sys.executable, "manage.py", "first_login"],
        env=variables,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    link = re.search(r"/admin/once/(\S+)", told.stdout)
    assert link is not None, told.stdout
    answer = http.post("/admin/once/", data={"secret": link[1]})
    assert answer.has_redirect_location, answer.status_code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    return parser.parse_args()


def _request() -> dict[str, object]:
    return {"custom_id": "r-1", "kind": "echo", "input": 1}


def _fill(connection: psycopg.Connection, template: int) -> None:
    """A million tasks as copies of the template's one."""
    first = template + 1
    for jobs, tasks, status in (*SHAPE, DEAD):
        connection.execute("drop table if exists many")
        connection.execute(
            "create temporary table many as select (%s + j)::bigint << 20 | n as id, %s + j as job "
            "from generate_series(0, %s - 1) j, generate_series(1, %s) n",
            (first, first, jobs, tasks),
        )
        _copy_jobs(connection, template, first, jobs, tasks, status)
        _copy_tasks(connection, template, status)
        first += jobs
    connection.execute("select setval(pg_get_serial_sequence('job', 'id'), %s)", (first,))
    connection.execute("delete from tally")
    connection.execute("delete from figure where name = 'pool_tasks'")
    connection.execute(
        "insert into tally (name, labels, amounts, happened_at) select 'tasks', "
        "array[j.pool_id::text, j.priority::text], array[sum(s.open), sum(s.blocked), "
        "sum(s.succeeded), sum(s.dead_lettered), sum(s.cancelled)]::bigint[], now() "
        "from job j join job_stage s on s.job_id = j.id group by j.pool_id, j.priority"
    )
    connection.execute("vacuum analyze")


def _copy_jobs(
    connection: psycopg.Connection, template: int, first: int, jobs: int, tasks: int, status: str
) -> None:
    ended = status != "Queued"
    _copy(
        connection,
        "job",
        f"from job t, generate_series({first}, {first + jobs - 1}) n where t.id = {template}",
        id="n",
        uid="gen_random_uuid()",
        total_tasks=str(tasks),
        **({"status": "'Failed'", "finished_at": "now()"} if ended else {}),
    )
    counts = {"open": "0" if ended else str(tasks)}
    if ended:
        counts["succeeded" if status == "Succeeded" else "dead_lettered"] = str(tasks)
    _copy(
        connection,
        "job_stage",
        f"from job_stage t, generate_series({first}, {first + jobs - 1}) n "
        f"where t.job_id = {template}",
        job_id="n",
        **counts,
    )


def _copy_tasks(connection: psycopg.Connection, template: int, status: str) -> None:
    one = template << 20 | 1
    ended = {"status": f"'{status}'", "finished_at": "now()"} if status != "Queued" else {}
    _copy(connection, "task", f"from task t, many where t.id = {one}", id="many.id",
          job_id="many.job", **ended)  # fmt: skip
    _copy(connection, "task_input", f"from task_input t, many where t.task_id = {one}",
          task_id="many.id", job_id="many.job", name="'r-' || many.id")  # fmt: skip
    if status == "Queued":
        _copy(connection, "ready", f"from ready t, many where t.task_id = {one}", task_id="many.id")
        return
    outcome = "Succeeded" if status == "Succeeded" else "Failed"
    connection.execute(
        "insert into attempt (task_id, epoch, generation, number, owner, started_at, finished_at, "
        "outcome, input_tokens, output_tokens, cost_nano_usd) "
        "select id, 1, 1, 1, 1, now(), now(), %s, 0, 0, 0 from many",
        (outcome,),
    )
    if status == "DeadLettered":
        connection.execute(
            "insert into dead_letter (task_id, job_id, tenant_id, kind, error_code, error_message, "
            "fingerprint, buried_at) select many.id, many.job, t.tenant_id, t.kind, "
            "'broken_' || many.id %% %s, 'it broke', (%s::text[])[1 + many.id %% %s], "
            "now() - many.id %% 100000 * interval '1 second' from many, task t where t.id = %s",
            (len(CAUSE_NAMES), list(CAUSE_NAMES), len(CAUSE_NAMES), one),
        )


def _copy(connection: psycopg.Connection, table: str, source: str, **changed: str) -> None:
    """Insert copies of a row; ``changed`` columns get an expression of their own."""
    found = connection.execute(COLUMNS, (table,)).fetchone()
    assert found is not None
    names = found[0].split(", ")
    values = ", ".join(changed.get(name, f"t.{name}") for name in names)
    connection.execute(f"insert into {table} ({found[0]}) select {values} {source}")


def _tell(connection: psycopg.Connection) -> None:
    for table in ("task", "job", "ready", "attempt", "dead_letter"):
        row = connection.execute(f"select count(*) from {table}").fetchone()
        print(f"{table:12} {row[0] if row else 0:>10,} rows")


def _measure(http: httpx.Client, path: str, options: argparse.Namespace) -> int:
    took = []
    for _ in range(options.runs + 1):
        time.sleep(KEPT_SECONDS.get(path, 0))
        began = time.monotonic()
        answer = http.get(path)
        took.append(time.monotonic() - began)
        assert answer.status_code == 200, (path, answer.status_code)
    cold, *warm = took
    median = statistics.median(warm)
    print(
        f"{path:50} {median * 1000:7.1f} ms at the median, {max(warm) * 1000:7.1f} at most, "
        f"{cold * 1000:7.1f} the first time"
    )
    return 0 if median <= TARGET_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
