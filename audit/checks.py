"""The log checks itself: new entries soon after they come, old ones again and again.

Cheap by design: a pass looks at what is new and at a bounded number of old entries. What a chain
alone cannot show, that its end was cut, shows here as long as this row knows a later entry; for
one who changes this row too, keep heads elsewhere (see ``docs/reference/audit-events.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from audit.chain import GENESIS, Head
from audit.integrity import Examination, Finding, Tampering, examine
from audit.models import AuditCheck
from audit.recorder import head

NEW_ENTRIES: Final = 10_000
"""Most new entries of one pass; about half a second of work."""

OLD_ENTRIES: Final = 500
"""Old entries of one pass: one pass in ten seconds looks at 100,000 again in 34 minutes."""

BEGIN: Final = """
insert into audit_check (id, through, through_hash, walked, walked_hash)
values (1, 0, %(genesis)s, 0, %(genesis)s) on conflict do nothing
"""


@dataclass(frozen=True)
class Status:
    """The log as it stands; ``broken`` is the first known breach, by entry and kind."""

    entries: int
    head: Head
    verified_through: int
    verified_at: datetime | None
    walked_at: datetime | None
    broken: tuple[int, Tampering] | None


@transaction.atomic
def check_some() -> dict[str, int]:
    """One pass; returns how many breaches it knows of. Nothing where another process is at it.

    A breach is kept as it is found, and looked for anew by the next pass: it stays known for as
    long as it is there.
    """
    row = _turn()
    if row is None:
        return {}
    new = examine(start=Head(row.through, row.through_hash), most=NEW_ENTRIES)
    old = examine(start=Head(row.walked, row.walked_hash), most=OLD_ENTRIES)
    _advance(row, new, old)
    breaches = [found.broken for found in (old, new) if found.broken is not None]
    _note(row, min(breaches, default=None))
    row.save()
    return {"breaches of the audit log": len(breaches)}


def status() -> Status:
    """Return how the log stands, from the last pass; reads two rows."""
    row = AuditCheck.objects.filter(pk=1).first() or AuditCheck(through=0)
    newest = head()
    broken = None
    if row.broken_entry is not None and row.broken_kind is not None:
        broken = (row.broken_entry, Tampering(row.broken_kind))
    return Status(
        entries=newest.number,
        head=newest,
        verified_through=row.through,
        verified_at=row.verified_at,
        walked_at=row.walked_at,
        broken=broken,
    )


def verified() -> Head:
    """Return the newest entry that was checked; number 0 before the first pass."""
    row = AuditCheck.objects.filter(pk=1).first()
    return Head(row.through, row.through_hash) if row else Head(0, GENESIS)


def _turn() -> AuditCheck | None:
    with connection.cursor() as cursor:
        cursor.execute(BEGIN, {"genesis": GENESIS})
    return AuditCheck.objects.select_for_update(skip_locked=True).filter(pk=1).first()


def _advance(row: AuditCheck, new: Examination, old: Examination) -> None:
    """Move both marks to the last sound entry; the walk begins anew at the end."""
    seen = max(0, old.through.number - row.walked)
    if new.through.number > row.through:
        row.through, row.through_hash = new.through
    if new.broken is None:
        row.verified_at = timezone.now()
    if old.broken is None and seen < OLD_ENTRIES:
        row.walked, row.walked_hash = 0, GENESIS
        row.walked_at = timezone.now()
    elif seen:
        row.walked, row.walked_hash = old.through


def _note(row: AuditCheck, breach: Finding | None) -> None:
    row.broken_entry = breach.entry if breach else None
    row.broken_kind = breach.kind if breach else None
