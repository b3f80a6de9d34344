"""The hot statements' plans at a million queued tasks: index probes only."""

import re
import time
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from prometheus_client import CollectorRegistry, generate_latest

from audit import checks
from audit.export import AuditFilter, count_entries, csv_lines, newest_first, oldest_first
from jobs import figures, keeper, reaper, ticketer
from jobs.metrics import ProcessCounts
from jobs.models import Job, Task
from jobs.queries.dead_letters import DeadLetterFilter, list_causes, list_dead_letters
from jobs.queries.metrics import scrape
from jobs.transitions import burials
from jobs.transitions.sql import SEPARATOR, execute, fetch
from tests.integration.console import operator, page
from tests.integration.scenario import register, submit_echo, tenant

JOBS = 20
TASKS_PER_JOB = 50_000
LARGE = (
    "task",
    "ready",
    "task_input",
    "attempt",
    "edge",
    "job_event",
    "usage_entry",
    "dead_letter",
)
FILLED = ("task", "task_input", "edge")
"""What is large there; small tables are read from end to end wherever that is cheap."""

SCRAPE_SECONDS = 0.3
"""What operators may wait for the metrics of a million tasks."""


# Emptied by TRUNCATE afterwards: a rollback would leave a million dead rows to the tests behind.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


def column_names(table: str) -> list[str]:
    """A table's columns, in order."""
    rows = fetch(
        "select column_name from information_schema.columns where table_name = %s "
        "and table_schema = 'public' order by ordinal_position",
        (table,),
    )
    return [name for (name,) in rows]


def fill_queue(template: Job) -> None:
    """A million queued tasks in twenty jobs, as submissions would leave them."""
    execute(
        "create temporary table many on commit drop as "
        "select (%s + j)::bigint << 20 | n as id, %s + j as job_id "
        "from generate_series(1, %s) j, generate_series(1, %s) n",
        (template.pk, template.pk, JOBS, TASKS_PER_JOB),
    )
    for table, key in (("task", "id"), ("task_input", "task_id"), ("ready", "task_id")):
        names = column_names(table)
        values = [
            {key: "many.id", "job_id": "many.job_id", "name": "'r-' || many.id"}.get(
                name, f"t.{name}"
            )
            for name in names
        ]
        execute(
            f"insert into {table} ({', '.join(names)}) select {', '.join(values)} "
            f"from {table} t, many where t.{key} = %s",
            (template.pk << 20 | 1,),
        )
    execute("insert into edge (parent_id, child_id, kind) select id, id + 1, 'collects' from many")
    copy_jobs(template)


def copy_jobs(template: Job) -> None:
    """The jobs and stages of those tasks."""
    for table, key in (("job", "id"), ("job_stage", "job_id")):
        names = column_names(table)
        values = [
            {
                key: f"t.{key} + j",
                "uid": "gen_random_uuid()",
                "open": str(TASKS_PER_JOB),
            }.get(name, f"t.{name}")
            for name in names
        ]
        execute(
            f"insert into {table} ({', '.join(names)}) select {', '.join(values)} "
            f"from {table} t, generate_series(1, %s) j where t.{key} = %s",
            (JOBS, template.pk),
        )


def scans(statements: list[str]) -> list[tuple[str, str]]:
    """Tables that the planner would read from end to end, with the statements' beginnings."""
    found = []
    for statement in chain.from_iterable(each.split(SEPARATOR) for each in statements):
        if not re.match(r"\s*(with|select|insert|update|delete)\b", statement, re.IGNORECASE):
            continue
        plan = "\n".join(row[0] for row in fetch("explain " + statement.replace("%", "%%")))
        beginning = " ".join(statement.split()[0:12])
        found += [(table, beginning) for table in re.findall(r"Seq Scan on (\w+)", plan)]
    return found


def scans_of_large_tables(statements: list[str]) -> list[tuple[str, str]]:
    """Sequential scans that a hot statement must not make."""
    return [(table, beginning) for table, beginning in scans(statements) if table in LARGE]


def statements_of_a_scrape() -> list[str]:
    """Everything that ``/v1/metrics`` reads, and that a pass of the figures' loop runs."""
    with CaptureQueriesContext(connection) as queries:
        scrape()
        figures.Teller(ProcessCounts(CollectorRegistry())).one_pass()
    return [query["sql"] for query in queries.captured_queries]


def scrape_seconds() -> float:
    """What a scrape takes at best, rendered; others may use the machine meanwhile."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        generate_latest(scrape())
        took.append(time.monotonic() - began)
    return min(took)


def statements_of_the_console(job: int) -> list[str]:
    """Everything that the pages of operators read; ``job`` is a large one."""
    console = operator()
    addresses = ("", "figures/", "queues/", "jobs/job/", f"jobs/job/job-{job}/", "jobs/worker/")
    with CaptureQueriesContext(connection) as queries:
        for address in addresses:
            page(console, f"/admin/{address}")
    return [query["sql"] for query in queries.captured_queries]


def hot_statements() -> list[str]:
    """Everything that a worker's cycle and the controllers' passes run."""
    worker = register()
    worker.claimer.has_work(worker.worker)
    with CaptureQueriesContext(connection) as queries:
        claimed = worker.claim(100)
        worker.beat(claimed)
        worker.succeed(claimed[:90])
        worker.fail(claimed[90:], "transient")
        ticketer.one_pass()
        reaper.reap_leases()
        keeper.bury_overdue()
        keeper.fail_jobs()
    assert len(claimed) == 100
    return [query["sql"] for query in queries.captured_queries]


def test_no_hot_statement_scans_a_table_with_a_million_queued_tasks():
    template = submit_echo(1)
    with transaction.atomic():
        fill_queue(template)
    assert Task.objects.count() == JOBS * TASKS_PER_JOB + 1
    before = scans_of_large_tables(hot_statements())
    execute("analyze")
    assert before + scans_of_large_tables(hot_statements()) == []
    assert scans_of_large_tables(statements_of_a_scrape()) == []
    shown = scans(statements_of_the_console(template.pk + 1))
    assert [each for each in shown if each[0] in FILLED] == []
    assert scrape_seconds() <= SCRAPE_SECONDS


def fill_dead_letters() -> None:
    """Fifty thousand dead letters of fifty causes in a hundred jobs of ten tenants."""
    execute(
        "insert into dead_letter (task_id, job_id, tenant_id, kind, error_code, error_message, "
        "fingerprint, buried_at) select (1 + n %% 100)::bigint << 20 | n, 1 + n %% 100, "
        "1 + n %% 10, 'kind-' || n %% 20, 'code-' || n %% 50, 'message ' || n, "
        "left(md5((n %% 50)::text), 16), now() - make_interval(secs => n) "
        "from generate_series(1, 50000) n"
    )
    execute("vacuum analyze dead_letter")


def dead_letter_statements() -> list[str]:
    """Every read of dead letters: pages, their filters, causes, the oldest of a cause."""
    wanted = [
        DeadLetterFilter(),
        DeadLetterFilter(tenant="tenant-1"),
        DeadLetterFilter(job="job-7"),
        DeadLetterFilter(kind="kind-7"),
        DeadLetterFilter(error_code="code-7"),
        DeadLetterFilter(cause="0123456789abcdef", tenant="tenant-1"),
    ]
    with CaptureQueriesContext(connection) as queries:
        for each in wanted:
            list_dead_letters(each, limit=50, offset=0)
        list_causes(wanted[0], limit=50, offset=0)
        burials.oldest_of("0123456789abcdef", limit=100)
        keeper.mark_causes()
    return [query["sql"] for query in queries.captured_queries]


def test_no_read_of_fifty_thousand_dead_letters_scans_them():
    for number in range(11):
        tenant(f"tenant-{number}")
    fill_dead_letters()
    statements = dead_letter_statements()
    total = [s for s in statements if s.startswith("select count(*)") and "where true" in s]
    assert len(total) == 1
    statements.remove(total[0])  # How many there are at all is counted, wherever that is cheap.
    assert "dead_letter" not in {table for table, _ in scans_of_large_tables(statements)}
    grouped = next(s for s in statements if "by_tenant" in s)
    plan = "\n".join(row[0] for row in fetch("explain " + grouped.replace("%", "%%")))
    assert "Index Only Scan using dead_letter_count" in plan


def audit_statements() -> list[str]:
    """Every read of the audit log: pages by each filter, CSV, its state."""
    now = datetime.now(UTC)
    wanted = [
        AuditFilter(),
        AuditFilter(action="job_retry"),
        AuditFilter(result="refused"),
        AuditFilter(tenant="tenant-7"),
        AuditFilter(actor="actor-7", result="ok"),
        AuditFilter(since=now - timedelta(seconds=60), until=now),
    ]
    with CaptureQueriesContext(connection) as queries:
        for each in wanted:
            list(newest_first(each, limit=50))
            next(csv_lines(oldest_first(each)))
        for each in wanted[3:]:
            count_entries(each)
        checks.status()
    return [query["sql"] for query in queries.captured_queries]


def test_no_read_of_fifty_thousand_audit_entries_scans_them():
    execute(
        "insert into audit_entry select n, now() - make_interval(secs => 50000 - n), "
        "(array['job_retry', 'job_cancel'])[1 + n %% 2], "
        "case when n %% 100 = 0 then 'refused' else 'ok' end, 'actor-' || n %% 50, 'rest', "
        "'tenant-' || n %% 100, 'job-' || n, '', '', '', '{}', repeat('0', 64), md5(n::text) "
        "from generate_series(1, 50000) n"
    )
    execute("vacuum analyze audit_entry")
    assert "audit_entry" not in {table for table, _ in scans(audit_statements())}
