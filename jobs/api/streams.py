"""Answers sent piece by piece: each holds one of the process's threads for as long as its reader.

So that slow readers cannot take all of them, there are only so many places.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import chain
from typing import Final

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from jobs.errors import Unavailable

MAX_DOWNLOADS: Final = 8
"""Downloads that a process sends in pieces at once."""

WHOLE_BYTES: Final = 2**20
"""Up to this size an answer is handed to the server at once and holds nothing."""

RETRY_AFTER_SECONDS: Final = 5


CUT: Final = "The answer ends here before its end; ask again."

logger = logging.getLogger(__name__)


class Places:
    """So many places for streams of one kind; `refusal` tells those that find none what to do."""

    def __init__(self, most: int, refusal: str) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._refusal = refusal

    def take(self) -> None:
        """Take a place. Raises Unavailable when none is free."""
        if not self._free.acquire(blocking=False):
            raise Unavailable(self._refusal, retry_after_seconds=RETRY_AFTER_SECONDS)

    def give_back(self) -> None:
        """Give a place back; once for each that was taken."""
        self._free.release()


DOWNLOADS: Final = Places(
    MAX_DOWNLOADS,
    f"This process sends {MAX_DOWNLOADS} large answers already; come back in a few seconds.",
)


class Download:
    """The pieces of a large answer; `close` gives its place back, also when it was never begun.

    The server ends an answer in chunks like a whole one when its pieces break off. `cut` is what
    then comes last, so that the reader can tell; an answer with a Content-Length needs none.
    """

    def __init__(self, pieces: Iterator[bytes], cut: bytes = b"") -> None:
        self._pieces = pieces
        self._cut = cut
        self._lock = threading.Lock()
        self._held = True
        DOWNLOADS.take()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except Exception:
            if not self._cut:
                raise
            logger.exception("a download broke off")
            yield self._cut
        finally:
            self.close()

    def close(self) -> None:
        """Give the place back; may be called by anyone, any number of times."""
        with self._lock:
            held, self._held = self._held, False
        if held:
            DOWNLOADS.give_back()


def in_pieces(pieces: Iterator[bytes], content_type: str, *, cut: bytes = b"") -> HttpResponseBase:
    """Answer with these pieces: whole while they are few, else as a download with a place.

    `cut` ends one that breaks off, see `Download`. Raises Unavailable when there is no place for
    it, and whatever the first pieces raise.
    """
    first: list[bytes] = []
    size = 0
    for piece in pieces:
        first.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            return StreamingHttpResponse(
                Download(chain(first, pieces), cut), content_type=content_type
            )
    return HttpResponse(b"".join(first), content_type=content_type)
