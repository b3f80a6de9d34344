"""The form that asks for a token: what was typed, as a wish that the action understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.http import QueryDict

from access.actions.tokens import TokenWish, checked_wish
from access.actors import ANY_TENANT, METRICS, OPERATOR, TENANT_PREFIX, WORKER
from access.errors import AccessError, AlreadyThere, BadField
from jobs.admin.words import clock

SCOPES: Final = {
    METRICS: "reads the metrics",
    OPERATOR: "reads all tenants' metadata; requeues, drains, sets limits and policies",
    WORKER: "is an agent: claims tasks, reads their inputs, settles them",
    ANY_TENANT: "submits, reads and changes every tenant's jobs and files",
}
"""What each scope allows, in words."""

EXPIRIES: Final = {
    "7": "in 7 days",
    "30": "in 30 days",
    "90": "in 90 days",
    "365": "in a year",
    "on": "at the end of a day",
    "never": "never",
}
DEFAULT_EXPIRY: Final = "90"
SOON: Final = timedelta(days=14)
"""What expires within this is shown in amber."""

MOST_SHOWN: Final = 4_000
"""Characters of one field that are looked at; no usable wish is longer."""

DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True)
class TokenForm:
    """What was typed, text by field; ``errors`` says by field what cannot be used, and why."""

    texts: Mapping[str, str]
    scopes: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)

    def carried(self) -> list[tuple[str, str]]:
        """Return what the confirm page carries along."""
        return [*self.texts.items(), *(("scopes", scope) for scope in self.scopes)]


FIELDS: Final = ("name", "description", "tenants", "expiry", "day", "requests_per_minute")


def empty_form(name: str = "", tenant: str = "") -> TokenForm:
    """Return the form as it is shown first."""
    texts = dict.fromkeys(FIELDS, "") | {"expiry": DEFAULT_EXPIRY, "name": name, "tenants": tenant}
    return TokenForm(texts)


def read_form(given: QueryDict) -> TokenForm:
    """Return what was typed."""
    texts = {name: given.get(name, "").strip()[:MOST_SHOWN] for name in FIELDS}
    chosen = tuple(scope for scope in given.getlist("scopes")[:10] if scope in SCOPES)
    return TokenForm(texts, chosen)


def wish_of(form: TokenForm, *, now: datetime) -> TokenWish | None:
    """Return the wish, checked; None where ``form.errors`` says what is wrong."""
    wish = TokenWish(
        form.texts["name"],
        [*form.scopes, *_tenant_scopes(form.texts["tenants"])],
        form.texts["description"],
        _expiry(form, now),
        _rate(form),
    )
    if form.errors:
        return None
    try:
        checked_wish(wish, now=now)
    except BadField as error:
        form.errors["day" if error.field == "expires_at" else error.field] = error.detail
    except AlreadyThere as error:
        form.errors["name"] = error.detail
    except AccessError as error:
        form.errors[""] = error.detail
    return None if form.errors else wish


def scopes_in_words(scopes: list[str]) -> list[tuple[str, str]]:
    """Return each scope with what it allows."""
    return [(scope, SCOPES.get(scope) or _tenant_words(scope, scopes)) for scope in scopes]


def warnings(wish: TokenWish) -> list[str]:
    """Return what somebody should think of before the token is made."""
    scopes = set(wish.scopes)
    found = []
    if wish.expires_at is None:
        found.append("It never expires. Whoever finds it can use it until somebody revokes it.")
    if OPERATOR in scopes:
        found.append("As an operator it can steer every tenant's jobs and change every limit.")
    if ANY_TENANT in scopes:
        found.append("It speaks for every tenant, also for those that come later.")
    return found


def expiry_in_words(expires_at: datetime | None, *, now: datetime) -> str:
    """Return ``in 61 days``, ``in 5 h``, ``never``, or since when it has expired."""
    if expires_at is None:
        return "never"
    left = expires_at - now
    if left <= timedelta(0):
        return clock(expires_at, now=now)
    if left < timedelta(days=2):
        return f"in {max(1, round(left.total_seconds() / 3600))} h"
    return f"in {round(left / timedelta(days=1))} days"


def _tenant_scopes(text: str) -> list[str]:
    return [f"{TENANT_PREFIX}{name}" for name in re.split(r"[\s,]+", text) if name]


def _tenant_words(scope: str, scopes: list[str]) -> str:
    name = scope.removeprefix(TENANT_PREFIX)
    if WORKER in scopes:
        return f"as an agent, of {name}'s tasks alone; also submits and reads {name}'s jobs"
    return f"submits, reads and changes {name}'s jobs and files"


def _expiry(form: TokenForm, now: datetime) -> datetime | None:
    choice = form.texts["expiry"]
    if choice == "never":
        return None
    if choice == "on":
        return _end_of_day(form)
    if choice not in EXPIRIES:
        form.errors["expiry"] = "choose one of the list"
        return None
    return now + timedelta(days=int(choice))


def _end_of_day(form: TokenForm) -> datetime | None:
    try:
        day = date.fromisoformat(form.texts["day"])
        return datetime.combine(day, time(23, 59, 59), UTC)
    except ValueError:
        form.errors["day"] = "write a day like 2027-01-31"
        return None


def _rate(form: TokenForm) -> int | None:
    text = form.texts["requests_per_minute"]
    if not text:
        return None
    if not DIGITS.fullmatch(text):
        form.errors["requests_per_minute"] = "write a whole number, or leave it empty"
        return None
    return int(text)
