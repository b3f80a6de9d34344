"""The database's minutes, by which rates are counted."""

from django.db import connection


def early_in_a_minute(seconds=6.0):
    """Wait, where the database's minute has fewer seconds left than that, for the next one."""
    with connection.cursor() as cursor:
        cursor.execute("select 60 - mod(extract(epoch from clock_timestamp()), 60)::float")
        (left,) = cursor.fetchone()
    if left < seconds:
        # In the database, which ends a session that idles within a transaction.
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(%s)", (left + 0.1,))
