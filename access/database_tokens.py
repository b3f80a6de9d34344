"""Tokens from the database: found by digest, judged and counted by one statement.

The unique index finds a digest or does not; how long that takes says nothing about a token that
the caller does not have.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from access.actors import Actor
from access.errors import BadCredentials, RateExceeded
from access.throttles import counted
from access.token_text import digest_of

# Only the database's clock judges. The last use is written once a minute, by whoever comes first;
# the others neither wait for its row nor write it. The rate's row lock does make them wait: that
# is what keeps the count exact.
AUTHENTICATE: Final = f"""
with found as materialized (
    select id, name, scopes, requests_per_minute as most, revoked_at, expires_at,
        revoked_at is null and coalesce(expires_at > clock_timestamp(), true) as good
    from api_token where digest = %(digest)s
), used as (
    update api_token set last_used_at = clock_timestamp() where id in (
        select t.id from api_token t join found on found.id = t.id and found.good
        where t.last_used_at is null or t.last_used_at < clock_timestamp() - interval '1 minute'
        for update of t skip locked)
), counted as (
    {
    counted(
        "request_window",
        "token_id",
        "select id from found where good and most is not null",
        most="(select most from found)",
    )
}
)
select name, scopes, good, revoked_at, expires_at, most,
    most is null or exists (select 1 from counted) as in_time,
    ceil(60 - mod(extract(epoch from clock_timestamp()), 60))::int as seconds_left
from found
"""  # nosec B608


class Found(NamedTuple):
    """A token's row as the statement judged it."""

    name: str
    scopes: list[str]
    good: bool
    revoked_at: datetime | None
    expires_at: datetime | None
    most: int | None
    in_time: bool
    seconds_left: int


def look_up(token: str) -> Actor | None:
    """Return whose token this is, or None where it is not one of ours; one query.

    Raises BadCredentials once it was revoked or has expired, RateExceeded beyond its rate.
    """
    digest = digest_of(token)
    found = _found(digest)
    if found is None:
        return None
    if not found.good:
        raise BadCredentials(_why_not(found))
    if not found.in_time:
        raise RateExceeded(
            f"The token {found.name} is good for {found.most} requests a minute; wait "
            f"{found.seconds_left} s.",
            max(1, found.seconds_left),
        )
    return Actor(f"token:{found.name}", frozenset(found.scopes), token_digest=digest)


def any_made() -> bool:
    """Tell whether a token was ever made here.

    One that has expired or was revoked counts: the end of the last token must not open the door
    that its making has closed.
    """
    with connection.cursor() as cursor:
        cursor.execute("select exists (select 1 from api_token)")
        return bool(cursor.fetchone()[0])


def _found(digest: str) -> Found | None:
    with connection.cursor() as cursor:
        cursor.execute(AUTHENTICATE, {"digest": digest})
        row: tuple[Any, ...] | None = cursor.fetchone()
    return None if row is None else Found(*row)


def _why_not(found: Found) -> str:
    """Only who has the whole token is told; that it was one helps to see what went wrong."""
    if found.revoked_at is not None:
        return f"The token {found.name} was revoked; ask an operator for another."
    assert found.expires_at is not None
    return (
        f"The token {found.name} expired at {found.expires_at:%Y-%m-%dT%H:%M:%SZ}; ask an operator "
        "for another."
    )
