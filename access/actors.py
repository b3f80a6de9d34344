"""Who is asking: the one identity object that every door hands to the rest of the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

OPERATOR: Final = "operator"
METRICS: Final = "metrics"
WORKER: Final = "worker"
TENANT_PREFIX: Final = "tenant:"
ANY_TENANT: Final = "tenant:*"

TenantNames = frozenset[str] | Literal["*"]


@dataclass(frozen=True)
class Actor:
    """A caller and what it may do.

    `name` goes into the audit trail and never contains a secret. `scopes` holds `operator`,
    `metrics`, `worker`, `tenant:<name>` and `tenant:*` (every tenant). `token_digest` is the
    SHA-256 of the token that was shown, empty where none was.
    """

    name: str
    scopes: frozenset[str]
    token_digest: str = field(default="", compare=False, repr=False)

    def may(self, scope: str) -> bool:
        """Tell whether this caller holds `scope`; plain `tenant` means "any tenant at all"."""
        if scope == "tenant":
            return self.tenant_names() != frozenset()
        if scope.startswith(TENANT_PREFIX) and ANY_TENANT in self.scopes:
            return True
        return scope in self.scopes

    def tenant_names(self) -> TenantNames:
        """Return the names of the tenants whose jobs this caller owns, or "*" for every tenant."""
        if ANY_TENANT in self.scopes:
            return "*"
        return frozenset(
            scope.removeprefix(TENANT_PREFIX)
            for scope in self.scopes
            if scope.startswith(TENANT_PREFIX)
        )

    def owns(self, tenant: str) -> bool:
        """Tell whether jobs of the tenant named `tenant` belong to this caller."""
        return self.may(TENANT_PREFIX + tenant)


LOCAL_OPERATOR: Final = Actor("local", frozenset({OPERATOR, METRICS, ANY_TENANT}))
SYSTEM: Final = Actor("system", frozenset({OPERATOR, METRICS, ANY_TENANT}))
