"""The submit rate per tenant: one statement, so that no interleaving lets one more through."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from access.errors import SubmitRateExceeded

# The row lock of the conflict serialises callers; only the database's clock names the minute.
TAKE = """
insert into submit_window (tenant_id, minute, used)
values (%(tenant)s, floor(extract(epoch from clock_timestamp()) / 60), 1)
on conflict (tenant_id) do update set
    used = case when submit_window.minute >= excluded.minute then submit_window.used + 1 else 1 end,
    minute = greatest(submit_window.minute, excluded.minute)
where submit_window.minute < excluded.minute or submit_window.used < %(limit)s
returning used
"""

SECONDS_LEFT = "select ceil(60 - mod(extract(epoch from clock_timestamp()), 60))::int"


def take_submission(tenant_id: int) -> None:
    """Count one submission of the tenant.

    Raises SubmitRateExceeded beyond ``DAEF_SUBMIT_RATE_LIMIT_PER_MIN`` a minute; no limit when
    that is not set.
    """
    limit: int | None = getattr(settings, "DAEF_SUBMIT_RATE_LIMIT_PER_MIN", None)
    if limit is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"tenant": tenant_id, "limit": limit})
        if limit > 0 and cursor.fetchone() is not None:
            return
        cursor.execute(SECONDS_LEFT)
        seconds = int(cursor.fetchone()[0])
    raise SubmitRateExceeded(
        f"The tenant may submit {limit} jobs a minute; wait {seconds} s.", max(1, seconds)
    )
