"""Checking the audit log: does every entry follow from the one before?"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from audit.chain import START, Entry, Head, digest
from audit.models import AuditEntry

PAGE: Final = 2000
"""Entries read at once: pages by number hold no cursor and no snapshot, whatever the length."""


class Tampering(StrEnum):
    """What was done to the log."""

    EDIT = "edit"
    DELETE = "delete"
    REORDER = "reorder"
    INSERT = "insert"
    TRUNCATE = "truncate"


class Finding(NamedTuple):
    """The first place at which the chain is broken: ``entry`` is the number concerned."""

    entry: int
    kind: Tampering
    message: str


class Examination(NamedTuple):
    """What a pass found: the last sound entry, and what is wrong behind it, if anything."""

    through: Head
    broken: Finding | None


def verify_chain(*, start: Head = START, head: Head | None = None) -> Finding | None:
    """Return the first breach of the chain, or None. See `examine`."""
    return examine(start=start, head=head).broken


def examine(
    *, start: Head = START, head: Head | None = None, most: int | None = None
) -> Examination:
    """Walk the chain in one pass, a page in memory at a time.

    ``start`` is an entry verified before: the walk begins behind it and goes on for at most
    ``most`` entries. ``head`` is one that was kept outside the database. Both have to be there
    still, with these hashes; only a kept head shows that the end was cut, or that all entries
    from some point on were written anew.
    """
    moved = _missing(start)
    if moved is not None:
        return Examination(START, moved)
    before, last = None, start
    for entry in islice(_entries(start), most):
        broken = _breach(entry, last, before)
        if broken is not None:
            return Examination(last, broken)
        before, last = last, Head(entry.number, entry.hash)
    return Examination(last, _missing(head) if head else None)


def _entries(start: Head) -> Iterator[Entry]:
    """Entries behind ``start`` by number; from the very beginning also numbers below 1."""
    rows = AuditEntry.objects.order_by("number").values_list(*Entry._fields)
    page = list((rows.filter(number__gt=start.number) if start.number else rows)[:PAGE])
    while page:
        yield from map(Entry._make, page)
        page = list(rows.filter(number__gt=page[-1][0])[:PAGE])


def _missing(kept: Head) -> Finding | None:
    """What happened to an entry whose hash was kept outside the table, if anything."""
    if kept == START:
        return None
    stored = AuditEntry.objects.filter(number=kept.number).values_list("hash", flat=True).first()
    if stored == kept.hash:
        return None
    if stored is not None:
        return _edit(kept.number, "it or one before it was written anew: its kept hash differs")
    if AuditEntry.objects.filter(number__gt=kept.number).exists():
        return Finding(kept.number, Tampering.DELETE, f"entry {kept.number} is gone")
    message = f"the log ends before entry {kept.number}, whose hash was kept"
    return Finding(kept.number, Tampering.TRUNCATE, message)


def _breach(entry: Entry, last: Head, before: Head | None) -> Finding | None:
    """What is wrong with an entry that should follow ``last``, which followed ``before``."""
    expected = last.number + 1
    if entry.number != expected:
        return _wrong_number(entry, last)
    if entry.prev_hash != last.hash:
        return _wrong_link(entry, last, before)
    if digest(entry) == entry.hash:
        return None
    if _followers(last.hash) > 1:
        return _insert(expected)
    return _edit(expected, "its hash does not match its content")


def _wrong_number(entry: Entry, last: Head) -> Finding:
    """Some number is missing, or one is there that cannot be."""
    expected = last.number + 1
    if entry.number < expected:
        return _insert(entry.number)
    if _followers(last.hash):
        return _reorder(expected)
    gone = f"entry {expected}" + (
        f" to {entry.number - 1} are" if entry.number - 1 > expected else " is"
    )
    return Finding(expected, Tampering.DELETE, f"{gone} gone")


def _wrong_link(entry: Entry, last: Head, before: Head | None) -> Finding:
    """The entry has the right number and follows another than the one before it."""
    followed = _followers(last.hash) > 0
    if not followed and digest(entry._replace(prev_hash=last.hash)) == entry.hash:
        return _edit(entry.number, "its link to the entry before was changed")
    if before is not None and entry.prev_hash == before.hash:
        return _insert(last.number)
    if followed:
        return _reorder(entry.number) if _exists(entry.prev_hash) else _insert(entry.number)
    if before is not None and digest(entry) == entry.hash:
        return _edit(last.number, "it was sealed anew: the next entry knows it by another hash")
    message = f"what was entry {entry.number} is gone and the rest was numbered anew"
    return Finding(entry.number, Tampering.DELETE, message)


def _followers(digest_before: str) -> int:
    return AuditEntry.objects.filter(prev_hash=digest_before).count()


def _exists(stored: str) -> bool:
    return AuditEntry.objects.filter(hash=stored).exists()


def _edit(number: int, message: str) -> Finding:
    return Finding(number, Tampering.EDIT, f"entry {number} was edited: {message}")


def _insert(number: int) -> Finding:
    return Finding(number, Tampering.INSERT, f"entry {number} was inserted: nothing leads to it")


def _reorder(number: int) -> Finding:
    message = f"entry {number} is not the one that belongs there: that one has another number"
    return Finding(number, Tampering.REORDER, message)
