"""Every address there is, who may call it by what its view declares, and the callers to try it.

The declarations are read from the views; what follows from them is worked out here a second time,
by the rules of ``docs/reference/scopes.md`` and not by the code that is under test.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, get_resolver

from tests.integration.gateway import Gateway
from tests.integration.tokens import let_expire, make_token, mistyped, revoke

VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def addresses(patterns: Any = None, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each address as it is written in the URL list, and its callback."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield address, pattern.callback
        else:
            yield from addresses(pattern.url_patterns, address)


def api_views() -> dict[str, Any]:
    """The view class of each address below ``/v1/``."""
    return {
        address: getattr(callback, "cls", None)
        for address, callback in addresses()
        if address.startswith("v1/")
    }


def verbs_of(view: Any) -> list[str]:
    """The verbs that a view answers, HEAD and OPTIONS apart."""
    return [
        verb for verb in VERBS if verb not in ("HEAD", "OPTIONS") and hasattr(view, verb.lower())
    ]


def routes() -> dict[str, Any]:
    """The view of each ``VERB address`` that is answered below ``/v1/``."""
    return {
        f"{verb} {address}": view
        for address, view in api_views().items()
        for verb in verbs_of(view) or ["GET"]
    }


@dataclass(frozen=True)
class Role:
    """A caller: the header it sends, and the scopes of the token in it, None for no good token."""

    header: str | None
    scopes: frozenset[str] | None = None

    def is_let_in(self, view: Any, verb: str) -> bool:
        """Whether the view's declaration lets this caller in."""
        if view.scope == "public":
            return True
        if self.scopes is None:
            return False
        if view.scope == "tenant" and any(scope.startswith("tenant:") for scope in self.scopes):
            return True
        reads = getattr(view, "operators_read", False) and verb in READS
        return view.scope in self.scopes or (reads and "operator" in self.scopes)

    def is_the_owner(self) -> bool:
        """Whether alpha's objects are this caller's."""
        return bool({"tenant:alpha", "tenant:*"} & (self.scopes or frozenset()))

    def sees_metadata(self, view: Any, verb: str) -> bool:
        """Whether this caller sees alpha's objects here without owning them."""
        reads = getattr(view, "operators_read", False) and verb in READS
        return reads and "operator" in (self.scopes or ())


ALL = ("metrics", "operator", "tenant:*")


@dataclass
class World:
    """The callers, with real tokens of both kinds; alpha is the tenant whose objects are tried."""

    roles: dict[str, Role] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, scopes in {
            "owner": ("tenant:alpha",),
            "other tenant": ("tenant:beta",),
            "every tenant": ("tenant:*",),
            "operator": ("operator",),
            "metrics": ("metrics",),
            "agent": ("worker",),
            "agent of another tenant": ("worker", "tenant:beta"),
        }.items():
            token = make_token(name.replace(" ", "-"), *scopes)
            self.roles[name] = Role(f"Bearer {token}", frozenset(scopes))
        revoked, expired = make_token("revoked", *ALL), make_token("expired", *ALL)
        revoke("revoked")
        let_expire("expired")
        owner = self.roles["owner"].header or ""
        self.roles |= {
            "revoked": Role(f"Bearer {revoked}"),
            "expired": Role(f"Bearer {expired}"),
            "mistyped": Role(mistyped(owner)),
            "unknown": Role(f"Bearer {mistyped(revoked)}"),
            "nobody": Role(None),
            "malformed": Role(owner.removeprefix("Bearer ")),
            "another scheme": Role("Basic b2xnYTpvbGdh"),
            "two tokens": Role(f"{owner}, {owner}"),
            "not ascii": Role("Bearer tök€n".encode().decode("latin-1")),
        }
        self.roles |= {
            f"configured {name}": Role(f"Bearer {token}", frozenset({scope}))
            for name, (token, scope) in CONFIGURED.items()
        }

    def gateway(self, role: str) -> Gateway:
        """The REST door for a caller."""
        return Gateway(header=self.roles[role].header)


CONFIGURED = {
    "owner": ("configured-alice", "tenant:alpha"),
    "operator": ("configured-olga", "operator"),
}
TOKENS = ",".join(f"{token}:{scope}" for token, scope in CONFIGURED.values())
"""For ``DAEF_API_TOKENS``."""
