"""The closed grammar of scopes: what a token may carry, and what goes together on one token.

Pure: no Django, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from access.actors import ANY_TENANT, METRICS, OPERATOR, TENANT_PREFIX, WORKER
from access.errors import BadField

TENANT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
NAME_RULE: Final = "use 1 to 63 small letters, digits and inner hyphens, for example 'acme-support'"
KNOWN_SCOPES: Final = "metrics, operator, worker, tenant:<name>, tenant:*"
MOST_SCOPES: Final = 50
"""Scopes of one token; a caller for more tenants than that is one for all of them."""

SCOPE_CHARACTERS: Final = len(TENANT_PREFIX) + 63


def is_scope(text: str) -> bool:
    """Tell whether this is a scope at all."""
    if text in {OPERATOR, METRICS, WORKER, ANY_TENANT}:
        return True
    name = text.removeprefix(TENANT_PREFIX)
    return text.startswith(TENANT_PREFIX) and TENANT_NAME.fullmatch(name) is not None


def checked_scopes(given: Iterable[str]) -> list[str]:
    """Return the scopes of a new token, each once and in order, the tenants' last.

    Raises BadField for none, too many, unknown ones, and ones that do not belong on one token.
    """
    scopes = sorted(set(given), key=lambda scope: (scope.startswith(TENANT_PREFIX), scope))
    if not 1 <= len(scopes) <= MOST_SCOPES:
        raise BadField("scopes", f"name 1 to {MOST_SCOPES} of: {KNOWN_SCOPES}")
    for scope in scopes:
        if not is_scope(scope):
            raise BadField(
                "scopes", f"{scope[:80]!a} is no scope; known: {KNOWN_SCOPES} ({NAME_RULE})"
            )
    if WORKER in scopes and (len(scopes) > 2 or {OPERATOR, METRICS, ANY_TENANT} & set(scopes)):
        raise BadField(
            "scopes",
            "worker stands alone, for an agent that serves every tenant, or with one "
            "tenant:<name>, for an agent of that tenant; give other callers a token of their own",
        )
    return scopes


def only_tenant(scopes: Iterable[str]) -> str:
    """Return the one tenant that these scopes name, or "" for none, several or all."""
    named = [scope for scope in scopes if scope.startswith(TENANT_PREFIX) and is_scope(scope)]
    if len(named) != 1 or named[0] == ANY_TENANT:
        return ""
    return named[0].removeprefix(TENANT_PREFIX)
