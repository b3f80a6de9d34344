"""Writing the audit log: one entry, in the transaction of what it tells."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

from django.db import connection, transaction

from audit import models
from audit.chain import START, Entry, Head, canonical_json, sealed
from audit.events import DETAILS, Action, Origin, Result
from audit.models import AuditEntry

log = logging.getLogger(__name__)

LOCK_KEY: Final = (20262, 0)
"""Advisory lock of the chain's head; pools have keys of their own."""

DETAIL_CHARACTERS: Final = 200

# A statement of its own: only the next one sees what the lock's last holder committed.
LOCK = "select pg_advisory_xact_lock(%s, %s)"

HEAD = """
select clock_timestamp(), h.number, h.hash
from (select) as nothing
left join lateral (select number, hash from audit_entry order by number desc limit 1) h on true
"""

Detail = str | int


def record(
    *,
    action: Action,
    result: Result,
    actor: str,
    origin: Origin,
    target: str,
    tenant: str = "",
    reason: str = "",
    details: Mapping[str, Detail] | None = None,
) -> int:
    """Append an entry to the chain and return its number.

    Call it last in the transaction that does what the entry tells: it holds the chain's lock
    until commit, so no other lock may be waited for afterwards. ``actor`` and ``tenant`` are
    names, ``target`` is what users call the object (``job-7``); ``details`` holds counts and
    codes under the names of ``audit.events.DETAILS``. Texts are cut at their columns' length.

    Raises TransactionManagementError outside a transaction, ValueError for other details.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("an audit entry belongs into a transaction")
    text = _details_text(action, details or {})
    moment, last = _lock_head()
    entry = Entry(
        number=last.number + 1,
        happened_at=moment,
        action=action.value,
        result=result.value,
        actor=_storable(actor, models.ACTOR_CHARACTERS),
        door=origin.door.value,
        tenant=_storable(tenant, models.TENANT_CHARACTERS),
        target=_storable(target, models.TARGET_CHARACTERS),
        reason=_storable(reason, models.REASON_CHARACTERS),
        address=_storable(origin.address, models.ADDRESS_CHARACTERS),
        request_id=_storable(origin.request_id, models.REQUEST_ID_CHARACTERS),
        details=text,
        prev_hash=last.hash,
        hash="",
    )
    return _append(sealed(entry))


def head() -> Head:
    """Return the newest entry's number and hash; number 0 while the log is empty."""
    return _read_head()[1]


def _append(entry: Entry) -> int:
    AuditEntry.objects.create(**entry._asdict())
    # The log is a second place that knows the head: it shows when the table's end was cut.
    transaction.on_commit(
        partial(log.info, "audit head %d:%s", entry.number, entry.hash), robust=True
    )
    return entry.number


def _lock_head() -> tuple[datetime, Head]:
    with connection.cursor() as cursor:
        cursor.execute(LOCK, LOCK_KEY)
    return _read_head()


def _read_head() -> tuple[datetime, Head]:
    with connection.cursor() as cursor:
        cursor.execute(HEAD)
        moment, number, digest = cursor.fetchone()
    return moment, START if number is None else Head(number, digest)


def _details_text(action: Action, details: Mapping[str, Detail]) -> str:
    """The canonical text of what an action may tell besides; a wrong name is a programmer's."""
    unknown = sorted(set(details) - DETAILS[action])
    if unknown:
        raise ValueError(f"{action} has no details {unknown}; declare them in audit.events")
    wrong = sorted(name for name, value in details.items() if not isinstance(value, Detail))
    if wrong:
        raise ValueError(f"details are texts and whole numbers, which {wrong} are not")
    cleaned = {
        name: _storable(value, DETAIL_CHARACTERS) if isinstance(value, str) else value
        for name, value in details.items()
    }
    return canonical_json(cleaned)


def _storable(text: str, characters: int) -> str:
    """The text as PostgreSQL can keep it: no NUL, no lone surrogates, not too long."""
    whole = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return whole[:characters]
