"""Tokens from ``DAEF_API_TOKENS``: read at start-up, kept as digests, compared in constant time.

Those that operators make while the fabric runs are in ``access/database_tokens.py``.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from access.actors import WORKER, Actor
from access.database_tokens import any_made
from access.scopes import KNOWN_SCOPES, is_scope
from access.token_text import digest_of

# RFC 6750's b64token: what can stand after "Bearer " in a header.
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)
MAX_TOKEN_CHARACTERS = 512


@dataclass(frozen=True)
class Credential:
    """A token's digest, as hexadecimal digits, and the caller it stands for."""

    sha256: str
    actor: Actor


def parse_tokens(text: str) -> tuple[Credential, ...]:
    """Read ``token:scope1|scope2,…``; each entry is split at its first colon only.

    Raises ImproperlyConfigured naming the entry's position, never the token.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    credentials = tuple(_credential(position, entry) for position, entry in enumerate(entries, 1))
    digests = [credential.sha256 for credential in credentials]
    for position, digest in enumerate(digests, 1):
        if digest in digests[: position - 1]:
            raise _refusal(position, "repeats an earlier token; give each token once")
    return credentials


def identify(token: str, credentials: Iterable[Credential] | None = None) -> Actor | None:
    """Return whose token this is, or None; every digest is compared, whatever matches first.

    Without `credentials`, the configured tokens and the local agent's token are asked.
    """
    digest = digest_of(token)
    found = None
    for credential in known_credentials() if credentials is None else credentials:
        if hmac.compare_digest(digest, credential.sha256):
            found = credential.actor
    return found


def known_credentials() -> tuple[Credential, ...]:
    """Return every credential in force: those of the operator and the local fabric's agent's."""
    return configured_credentials() + _local_agent(_setting("DAEF_AGENT_TOKEN"))


def any_token() -> bool:
    """Tell whether callers need a token: one is configured, or was ever made in the database.

    Without a configured one that costs a query each time: what was remembered of it could keep
    the door open after the first token was made.
    """
    return bool(configured_credentials()) or any_made()


def configured_credentials() -> tuple[Credential, ...]:
    """Return the credentials of ``DAEF_API_TOKENS``."""
    return _parsed(_setting("DAEF_API_TOKENS"))


def well_formed(token: str) -> bool:
    """Tell whether this can be a bearer token at all."""
    return len(token) <= MAX_TOKEN_CHARACTERS and TOKEN_PATTERN.fullmatch(token) is not None


def _credential(position: int, entry: str) -> Credential:
    token, colon, scopes = entry.partition(":")
    if not colon or not token or not scopes:
        raise _refusal(position, "must read token:scope1|scope2")
    if not well_formed(token):
        raise _refusal(
            position,
            f"has a token that cannot stand in a header: use letters, digits and -._~+/, "
            f"at most {MAX_TOKEN_CHARACTERS} characters",
        )
    named = frozenset(scope.strip() for scope in scopes.split("|"))
    for scope in sorted(named):
        if not is_scope(scope):
            raise _refusal(position, f"has the unknown scope {scope!r}; known: {KNOWN_SCOPES}")
    return _credential_of(token, named)


def _credential_of(token: str, scopes: frozenset[str]) -> Credential:
    digest = digest_of(token)
    return Credential(digest, Actor(f"token-{digest[:8]}", scopes, token_digest=digest))


def _refusal(position: int, problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"DAEF_API_TOKENS: entry {position} {problem}.")


def _setting(name: str) -> str:
    return getattr(settings, name, "") or ""


@lru_cache(maxsize=8)
def _parsed(text: str) -> tuple[Credential, ...]:
    return parse_tokens(text)


@lru_cache(maxsize=8)
def _local_agent(token: str) -> tuple[Credential, ...]:
    return (_credential_of(token, frozenset({WORKER})),) if token else ()
