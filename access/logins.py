"""Logins to the console: counted before a password is looked at, recorded however they end.

Nothing here trusts what was typed as a name: it may be somebody's password. Records name users
that exist, counts go by SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import Final

from django.contrib.auth.models import User
from django.db import connection, transaction

from access.errors import RateExceeded
from access.throttles import SECONDS_LEFT, counted
from audit.events import Action, Origin, Result
from audit.recorder import record

MOST_FOR_A_NAME: Final = 10
"""Attempts a minute for one name, from everywhere: a guesser gets 14,400 a day."""

MOST_FROM_AN_ADDRESS: Final = 30
"""Attempts a minute from one address, whatever the names: people may share it."""

CONSOLE: Final = "console"
"""What a login's record has for its object."""

NOBODY: Final = "nobody"
"""Whom a record names where no such user is."""

# One beyond the limit is counted too: it is the one that is recorded.
TAKE: Final = counted(
    "login_window", "subject", "select %(subject)s::text", most="%(most)s::int + 1"
)

# A login that was right is none of the attempts that the limits are for.
GIVE_BACK: Final = "update login_window set used = used - 1 where subject = any(%s) and used > 0"

# Made-up names leave rows behind; whoever comes next sweeps those of past minutes.
SWEEP: Final = """
delete from login_window where subject = any(array(
    select subject from login_window
    where minute < floor(extract(epoch from clock_timestamp()) / 60)
    limit 1000 for update skip locked))
"""


def take_attempt(name: str, *, address: str, method: str, origin: Origin) -> None:
    """Count an attempt to log in as ``name``, "" for a link.

    Raises RateExceeded beyond the limits. The first that is refused in a minute is recorded.
    """
    with connection.cursor() as cursor:
        cursor.execute(SWEEP)
    _take(_address_subject(address), MOST_FROM_AN_ADDRESS, name, method, origin)
    if name:
        _take(_name_subject(name), MOST_FOR_A_NAME, name, method, origin)


def give_back(name: str, *, address: str) -> None:
    """Take back what `take_attempt` counted, for a login that was right."""
    with connection.cursor() as cursor:
        cursor.execute(GIVE_BACK, [[_address_subject(address), _name_subject(name)]])


@transaction.atomic
def record_refusal(name: str, *, code: str, method: str, origin: Origin) -> None:
    """Record an attempt that did not get in, in a transaction of its own."""
    _record(Action.LOGIN, Result.REFUSED, name, origin, {"code": code, "method": method})


def record_login(name: str, *, method: str, origin: Origin) -> None:
    """Record a login; the last step of the transaction that makes the session."""
    _record(Action.LOGIN, Result.OK, name, origin, {"method": method})


def record_logout(name: str, *, origin: Origin) -> None:
    """Record a logout, in the transaction that ends the session."""
    _record(Action.LOGOUT, Result.OK, name, origin, {})


def record_password_change(name: str, *, origin: Origin) -> None:
    """Record that users changed their password, in the transaction that changes it."""
    _record(Action.PASSWORD_CHANGE, Result.OK, name, origin, {})


def _take(subject: str, most: int, name: str, method: str, origin: Origin) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"subject": subject, "most": most})
        row = cursor.fetchone()
        if row is not None and row[0] <= most:
            return
        cursor.execute(SECONDS_LEFT)
        seconds = max(1, int(cursor.fetchone()[0]))
    if row is not None:
        record_refusal(name, code=RateExceeded.code, method=method, origin=origin)
    raise RateExceeded(f"Too many attempts to log in; wait {seconds} s.", seconds)


def _record(
    action: Action, result: Result, name: str, origin: Origin, details: dict[str, str | int]
) -> None:
    known = User.objects.filter(username=name).exists() if "\0" not in name else False
    record(
        action=action,
        result=result,
        actor=f"user:{name}" if known else NOBODY,
        origin=origin,
        target=CONSOLE,
        details=details,
    )


def _name_subject(name: str) -> str:
    return hashlib.sha256(f"name:{name}".encode("utf-8", "surrogatepass")).hexdigest()


def _address_subject(address: str) -> str:
    return hashlib.sha256(f"address:{address}".encode("utf-8", "surrogatepass")).hexdigest()
