"""Rates are exact: not one more is let through, whoever asks at the same moment."""

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection

from access.authentication import authenticate_header
from access.errors import RateExceeded
from access.logins import MOST_FOR_A_NAME
from access.models import Tenant
from access.throttles import take_submission
from audit.models import AuditEntry
from tests.architecture.source import ROOT
from tests.integration.minutes import early_in_a_minute
from tests.integration.overlap import overlapping
from tests.integration.tokens import make_token

CALLERS = 25
"""In each of two processes."""

MOST = 7


def in_two_processes(what, subject):
    """How many of 2 x 25 callers were let through."""
    with ExitStack() as running:
        storms = [running.enter_context(storm(what, subject)) for _ in range(2)]
        assert [each.stdout.readline() for each in storms] == ["ready\n"] * 2
        early_in_a_minute()
        for each in storms:
            each.stdin.write("\n")
            each.stdin.flush()
        return sum([int(each.stdout.readline()) for each in storms])


def storm(what, subject) -> Any:
    """The callers' process."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.integration.throttled_callers"),
            *(what, str(subject), str(CALLERS)),
        ],
        cwd=ROOT,
        env={**os.environ, **store()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def store():
    """The test database, as another process is told of it."""
    parts = connection.settings_dict
    where = f"{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
    return {
        "DJANGO_SETTINGS_MODULE": "daef_site.settings",
        "DAEF_STORE": "postgres",
        "DAEF_POSTGRES_DSN": f"postgres://{parts['USER']}:{parts['PASSWORD']}@{where}",
        "DAEF_POSTGRES_POOL_MAX": "0",
        "DAEF_API_TOKENS": "",
    }


@pytest.mark.django_db(transaction=True)
def test_two_processes_submit_exactly_as_often_as_a_tenant_may():
    tenant = Tenant.objects.create(name="alpha")
    assert in_two_processes("submission", tenant.pk) == MOST


@pytest.mark.django_db(transaction=True)
def test_two_processes_ask_exactly_as_often_as_a_token_may():
    token = make_token("ci", "tenant:alpha", requests_per_minute=MOST)
    assert in_two_processes("request", token) == MOST


@pytest.mark.django_db(transaction=True)
def test_two_processes_try_exactly_as_many_passwords_of_a_name_as_they_may():
    assert in_two_processes("login", "olga") == MOST_FOR_A_NAME
    assert AuditEntry.objects.filter(action="login", result="refused").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_submission_waits_for_the_one_before_it_to_be_counted(settings):
    settings.DAEF_SUBMIT_RATE_LIMIT_PER_MIN = 2
    tenant = Tenant.objects.create(name="alpha")
    early_in_a_minute()
    take_submission(tenant.pk)
    with pytest.raises(RateExceeded):
        overlapping(lambda: take_submission(tenant.pk), lambda: take_submission(tenant.pk))


@pytest.mark.django_db(transaction=True)
def test_a_request_waits_for_the_one_before_it_to_be_counted():
    header = "Bearer " + make_token("ci", "tenant:alpha", requests_per_minute=2)
    early_in_a_minute()
    authenticate_header(header)
    with pytest.raises(RateExceeded):
        overlapping(lambda: authenticate_header(header), lambda: authenticate_header(header))
