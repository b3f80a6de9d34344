"""A rate of so many a minute: counted by the database, from one minute to the next."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from access.errors import RateExceeded
from access.models import SubmitWindow
from access.throttles import take_submission
from jobs.transitions.sql import fetch
from tests.integration.minutes import early_in_a_minute

ALICE, BOB = 1, 2


@pytest.fixture(autouse=True)
def _two_a_minute(settings):
    settings.DAEF_SUBMIT_RATE_LIMIT_PER_MIN = 2


def this_minute() -> int:
    """The database's minute, with some seconds of it left."""
    early_in_a_minute()
    return int(fetch("select floor(extract(epoch from clock_timestamp()) / 60)")[0][0])


def used_up(minute: int) -> None:
    SubmitWindow.objects.create(tenant_id=ALICE, minute=minute, used=2)


@pytest.mark.django_db
def test_no_more_than_the_limit_are_let_through_in_a_minute():
    this_minute()
    take_submission(ALICE)
    take_submission(ALICE)
    with pytest.raises(RateExceeded) as refused:
        take_submission(ALICE)
    assert 1 <= refused.value.retry_after_seconds <= 60
    take_submission(BOB)
    assert dict(SubmitWindow.objects.values_list("tenant_id", "used")) == {ALICE: 2, BOB: 1}


@pytest.mark.django_db
def test_a_new_minute_begins_at_nought():
    used_up(this_minute() - 1)
    take_submission(ALICE)
    take_submission(ALICE)
    with pytest.raises(RateExceeded):
        take_submission(ALICE)


@pytest.mark.django_db
def test_a_clock_that_was_set_back_lets_nothing_more_through():
    later = this_minute() + 5
    used_up(later)
    with pytest.raises(RateExceeded):
        take_submission(ALICE)
    assert SubmitWindow.objects.get().minute == later


@pytest.mark.django_db
def test_without_a_limit_nothing_is_counted(settings):
    settings.DAEF_SUBMIT_RATE_LIMIT_PER_MIN = None
    take_submission(ALICE)
    assert not SubmitWindow.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [False, True])
def test_of_many_at_the_same_moment_exactly_as_many_as_the_limit_are_let_through(known):
    minute = this_minute()
    if known:
        SubmitWindow.objects.create(tenant_id=ALICE, minute=minute - 1, used=2)
    together = threading.Barrier(8)

    def one(_: int) -> bool:
        try:
            together.wait(10)
            take_submission(ALICE)
        except RateExceeded:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 2
