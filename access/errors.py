"""What the gatekeepers refuse, in words that a caller can act on; the doors render them.

Pure: no Django, no I/O. ``jobs/failures.py`` says which status each becomes; ``code`` is the
stable code it will have there, which the audit log needs to know below.
"""

from __future__ import annotations


class AccessError(Exception):
    """A caller was refused; `detail` says why and what to do, never a secret."""

    code = "scope_missing"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadCredentials(AccessError):
    """There is no usable token where one is needed."""

    code = "unauthenticated"


class NotAllowed(AccessError):
    """The caller is known and may not do this."""


class SuspectBody(AccessError):
    """A body in a content type that any web page could send to an open door."""

    code = "unsupported_media_type"


class BadField(AccessError):
    """One field cannot be used; `field` names it, `detail` what to write instead."""

    code = "invalid_request"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"


class BadTenant(BadField):
    """The tenant of the request is misspelt or not clear."""

    def __init__(self, detail: str) -> None:
        super().__init__("tenant", detail)


class AlreadyThere(AccessError):
    """The name is taken."""

    code = "state_conflict"


class NoSuchToken(AccessError):
    """No token is called that."""

    code = "not_found"


class RateExceeded(AccessError):
    """A caller or tenant has used up what it may do in this minute."""

    code = "rate_limited"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
