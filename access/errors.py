"""What the gatekeepers refuse, in words that a caller can act on; the doors render them.

Pure: no Django, no I/O. ``jobs/failures.py`` says which stable code and status each becomes.
"""

from __future__ import annotations


class AccessError(Exception):
    """A caller was refused; `detail` says why and what to do, never a secret."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadCredentials(AccessError):
    """There is no usable token where one is needed."""


class NotAllowed(AccessError):
    """The caller is known and may not do this."""


class SuspectBody(AccessError):
    """A body in a content type that any web page could send to an open door."""


class BadTenant(AccessError):
    """The tenant of the request is misspelt or not clear; the field to mend is `tenant`."""


class SubmitRateExceeded(AccessError):
    """The tenant has used up its submissions of this minute."""

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
