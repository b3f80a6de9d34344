"""An operator's morning, walked through the console: once by Django's client, and in Chromium.

The walk is the same. Where no Chromium is found, only the client walks; nothing is downloaded.
"""

import csv
import io
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from access import first_login
from audit.models import AuditEntry
from jobs import integrity
from jobs.models import Worker
from tests.integration.burials import buried
from tests.integration.console import browser
from tests.integration.scenario import statuses
from tests.integration.walkers import BrowserWalker, ClientWalker, found_browser

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "key of vllm-eu rotated, OPS-2291"
WHY_DRAIN = "kernel update, OPS-2290"


@pytest.fixture
def morning():
    """What the operator finds: a job that failed in the night, a worker, a link to come in by."""
    job = buried(3, code="endpoint_auth", message="The endpoint answered 401.")
    # However slow the machine is, the worker is not lost while somebody walks.
    Worker.objects.update(heartbeat_at=timezone.now() + timedelta(hours=1))
    return job, first_login.issue(now=timezone.now())


def walk(somebody, job, secret):
    """Log in, find the failed job, see why, requeue with a reason, find the record, drain."""
    somebody.open(f"/admin/once/{secret}")
    somebody.press("Log in as operator")
    assert "Dead letters" in somebody.shown()

    somebody.follow("Jobs")
    somebody.follow(f"job-{job.pk}")
    assert "Why it ended so" in somebody.shown()
    assert "3 tasks are dead-lettered" in somebody.shown()

    somebody.follow("By cause, and requeue")
    assert "Mend the endpoint's key first" in somebody.shown()
    somebody.press("Requeue…")
    assert "Requeue 3 dead letters?" in somebody.shown()
    assert "nothing was changed" in somebody.shown()
    somebody.fill("reason", WHY)
    somebody.press("Requeue 3 tasks")
    assert "3 tasks are Queued again" in somebody.shown()

    somebody.follow("Audit entry")
    assert WHY in somebody.shown()
    assert "Its hash matches its content" in somebody.shown()
    somebody.follow("Audit log")
    saved = list(csv.DictReader(io.StringIO(somebody.save("CSV of this view").decode())))

    somebody.follow("Workers")
    somebody.follow("alice")
    somebody.follow("Drain…")
    somebody.fill("reason", WHY_DRAIN)
    somebody.press("Drain")
    assert "Draining" in somebody.shown()
    return saved


def check(job, saved):
    """What the morning left behind: in the file that was saved, in the tables, in the record."""
    assert [(row["action"], row["result"], row["reason"]) for row in saved] == [
        ("dead_letter_requeue", "ok", WHY),
        ("dead_letter_requeue", "dry_run", ""),
        ("login", "ok", ""),
    ]
    assert statuses(job) == ["Queued"] * 3
    assert Worker.objects.get().state == "Draining"
    drained = AuditEntry.objects.get(action="worker_drain")
    assert (drained.result, drained.actor, drained.reason) == ("ok", "user:operator", WHY_DRAIN)
    assert integrity.check_all() == []


def test_an_operators_morning_by_djangos_client(morning):
    job, secret = morning
    client = browser()
    client.handler.enforce_csrf_checks = True
    check(job, walk(ClientWalker(client), job, secret))


@pytest.mark.skipif(found_browser() is None, reason="no Chromium on this machine; Django's walks")
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_operators_morning_in_chromium(morning, live_server, scripts):
    job, secret = morning
    with chromium(scripts) as page:
        saved = walk(BrowserWalker(page, live_server.url), job, secret)
    check(job, saved)


@contextmanager
def chromium(scripts):
    """A page of the Chromium that was found; none is ever downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found_browser(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            context = started.new_context(java_script_enabled=scripts, accept_downloads=True)
            yield context.new_page()
        finally:
            started.close()
