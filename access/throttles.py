"""Rates per minute: counted by one statement each, so that no interleaving lets one more through.

A window is one row: the latest minute (of Unix time) in which its subject was let through, and
how often. The row lock of the conflict serialises callers, of all processes; only the database's
clock names the minute.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import connection

from access.errors import RateExceeded

SECONDS_LEFT: Final = "select ceil(60 - mod(extract(epoch from clock_timestamp()), 60))::int"


def counted(table: str, key: str, subjects: str, *, most: str) -> str:
    """Return the statement that counts one use for each row of ``subjects``, a query.

    It returns a row where the use is let through, none where ``most``, an expression of at least
    1, were let through in this minute.
    """
    return f"""
insert into {table} ({key}, minute, used)
select subject.id, floor(extract(epoch from clock_timestamp()) / 60), 1
from ({subjects}) as subject(id)
on conflict ({key}) do update set
    used = case when {table}.minute >= excluded.minute then {table}.used + 1 else 1 end,
    minute = greatest({table}.minute, excluded.minute)
where {table}.minute < excluded.minute or {table}.used < {most}
returning used
"""  # nosec B608


TAKE_SUBMISSION: Final = counted(
    "submit_window", "tenant_id", "select %(tenant)s::int", most="%(most)s"
)


def take_submission(tenant_id: int) -> None:
    """Count one submission of the tenant.

    Raises RateExceeded beyond ``DAEF_SUBMIT_RATE_LIMIT_PER_MIN`` a minute; no limit when that is
    not set.
    """
    most: int | None = settings.DAEF_SUBMIT_RATE_LIMIT_PER_MIN
    if most is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(TAKE_SUBMISSION, {"tenant": tenant_id, "most": most})
        if cursor.fetchone() is not None:
            return
        cursor.execute(SECONDS_LEFT)
        seconds = max(1, int(cursor.fetchone()[0]))
    raise RateExceeded(f"The tenant may submit {most} jobs a minute; wait {seconds} s.", seconds)
