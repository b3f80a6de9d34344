"""Give tokens out, and take them back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import transaction

from access.actions.audited import Trail, audited, require_operator
from access.actors import WORKER, Actor
from access.errors import AlreadyThere, BadField
from access.models import ApiToken
from access.queries import find_token
from access.scopes import NAME_RULE, TENANT_NAME, checked_scopes, only_tenant
from access.token_text import SHAPE, digest_of, new_token, shown_part
from audit.events import INTERNAL, Action, Origin

DESCRIPTION_CHARACTERS: Final = 200
MOST_REQUESTS: Final = 1_000_000


@dataclass(frozen=True)
class NewToken:
    """A token that was made. ``secret`` is the token itself: show it once, keep it nowhere."""

    row: ApiToken
    secret: str = field(repr=False)


@dataclass(frozen=True)
class TokenWish:
    """What a token shall be; ``expires_at`` and ``requests_per_minute`` are None for no limit."""

    name: str
    scopes: Iterable[str]
    description: str = ""
    expires_at: datetime | None = None
    requests_per_minute: int | None = None


def create_token(
    wish: TokenWish, *, actor: Actor, now: datetime, origin: Origin = INTERNAL
) -> NewToken:
    """Make a token and return it with its secret, which cannot be had again.

    Raises BadField for what cannot be used, AlreadyThere for a name that was given before,
    NotAllowed for callers who are no operators.
    """
    scopes = list(wish.scopes)
    named = wish.name if TENANT_NAME.fullmatch(wish.name) else ""
    trail = Trail(Action.TOKEN_CREATE, actor, origin, named, only_tenant(scopes))
    with audited(trail):
        require_operator(actor)
        checked = _checked(wish, scopes, now)
        return _insert(trail, wish, checked, now)


@transaction.atomic
def _insert(trail: Trail, wish: TokenWish, scopes: list[str], now: datetime) -> NewToken:
    secret = new_token()
    row, made = ApiToken.objects.get_or_create(
        name=wish.name,
        defaults={
            "prefix": shown_part(secret),
            "digest": digest_of(secret),
            "description": wish.description,
            "scopes": scopes,
            "requests_per_minute": wish.requests_per_minute,
            "created_by": trail.actor.name[:100],
            "created_at": now,
            "expires_at": wish.expires_at,
        },
    )
    if not made:
        raise _taken(wish.name)
    expiry = row.expires_at.isoformat() if row.expires_at else "never"
    trail.done(prefix=row.prefix, scopes="|".join(scopes), expires_at=expiry)
    return NewToken(row, secret)


def revoke_token(
    identifier: str, *, actor: Actor, now: datetime, origin: Origin = INTERNAL
) -> ApiToken:
    """Take a token back; its next request is refused. Repeating it changes nothing.

    ``identifier`` is its name, the beginning that lists show, or the token itself. Raises
    NoSuchToken, and NotAllowed for callers who are no operators.
    """
    trail = Trail(Action.TOKEN_REVOKE, actor, origin, _recordable(identifier))
    with audited(trail):
        require_operator(actor)
        found = find_token(identifier)
        trail.target, trail.tenant = found.name, only_tenant(found.scopes)
        _revoke(trail, found, now)
        found.refresh_from_db()
        return found


@transaction.atomic
def _revoke(trail: Trail, token: ApiToken, now: datetime) -> None:
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        trail.done(prefix=token.prefix)


def _recordable(identifier: str) -> str:
    """What a record may hold of a name that nobody knows: it could be a secret."""
    if TENANT_NAME.fullmatch(identifier):
        return identifier
    return shown_part(identifier) if SHAPE.match(identifier) else ""


def checked_wish(wish: TokenWish, *, now: datetime) -> list[str]:
    """Return the scopes of a token that could be made. Raises BadField and AlreadyThere."""
    scopes = _checked(wish, list(wish.scopes), now)
    if ApiToken.objects.filter(name=wish.name).exists():
        raise _taken(wish.name)
    return scopes


def _taken(name: str) -> AlreadyThere:
    return AlreadyThere(
        f"There is or was a token called {name}; names are given once, so that records "
        "stay clear. Take another name, for example with a number."
    )


def _checked(wish: TokenWish, scopes: list[str], now: datetime) -> list[str]:
    if TENANT_NAME.fullmatch(wish.name) is None:
        raise BadField("name", NAME_RULE)
    checked = checked_scopes(scopes)
    if len(wish.description) > DESCRIPTION_CHARACTERS or not wish.description.isprintable():
        raise BadField("description", f"use at most {DESCRIPTION_CHARACTERS} printable characters")
    if wish.expires_at is not None and wish.expires_at <= now:
        raise BadField("expires_at", "has passed; name a moment to come")
    _check_rate(wish.requests_per_minute, checked)
    return checked


def _check_rate(most: int | None, scopes: list[str]) -> None:
    if most is None:
        return
    if not 1 <= most <= MOST_REQUESTS:
        raise BadField("requests_per_minute", f"use a whole number from 1 to {MOST_REQUESTS}")
    if WORKER in scopes:
        raise BadField(
            "requests_per_minute",
            "leave it out for the scope worker: an agent whose heartbeats are refused loses its "
            "leases",
        )
