"""Requests that survive a busy or restarting fabric, and answers turned into values or errors.

A request is sent again when the connection is lost and after 429, 502, 503, 504 and a 409 that
says ``request_in_flight``. That is safe since every request here is a read, is idempotent by
contract, or bears an ``Idempotency-Key`` that stays the same over all tries.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from .errors import ApiError, NotAllowed, Unreachable, Usage, api_error

AGAIN = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed a little later."""

FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 5.0
FIRST_CONTACT_SECONDS = 3.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Transport:
    """One fabric's HTTP door.

    ``retry_seconds`` bounds how long a request is tried again in all; ``sleep`` and ``clock``
    (monotonic seconds) are parameters for tests. Raises Usage for an address that is none.
    """

    def __init__(
        self,
        base_url: str,
        token: str = "",
        *,
        timeout: float = 30.0,
        retry_seconds: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = _checked(base_url)
        self._retry_seconds, self._sleep, self._clock = retry_seconds, sleep, clock
        self._was_answered = False
        headers = {"User-Agent": "daef-client/0.1.0", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=5.0),
            # A proxy in the environment cannot reach this machine's loopback.
            trust_env=urlsplit(self.base_url).hostname not in LOOPBACK,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def json(self, method: str, path: str, **request: Any) -> Any:
        """The parsed JSON answer; None for an empty one. Arguments as ``send``."""
        response = self.send(method, path, **request)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise Unreachable(_not_daef(self.base_url)) from error

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request until it is answered for good; keyword arguments are httpx's.

        Raises ApiError for a refusal and Unreachable when no answer came in time.
        """
        began = self._clock()
        attempt = 0
        while True:
            try:
                return self._once(method, path, request)
            except (Unreachable, ApiError) as error:
                delay = _delay(error, attempt)
                if delay is None or self._clock() + delay > began + self._patience(error):
                    raise
            attempt += 1
            self._sleep(delay)

    def _patience(self, error: Unreachable | ApiError) -> float:
        """How long to go on trying: briefly where nobody has ever listened."""
        if self._was_answered or not isinstance(error.__cause__, httpx.ConnectError):
            return self._retry_seconds
        return min(self._retry_seconds, FIRST_CONTACT_SECONDS)

    def _once(self, method: str, path: str, request: Mapping[str, Any]) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise Unreachable(_no_answer(self.base_url, error)) from error
        self._was_answered = True
        raise_for_problem(response)
        return response

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str], **request: Any) -> Iterator[Any]:
        """An answer that is read while it comes; tried once. Raises as ``send``."""
        try:
            with self._http.stream("GET", path, headers=dict(headers), **request) as response:
                if response.is_error:
                    response.read()
                    raise_for_problem(response)
                yield response
        except httpx.TransportError as error:
            raise Unreachable(_no_answer(self.base_url, error)) from error


def raise_for_problem(response: httpx.Response) -> None:
    """Raise the ApiError of a refusal; the answer's body must have been read."""
    if response.status_code < 400:
        return
    error = api_error(
        response.status_code,
        _problem(response),
        request_id=response.headers.get("X-Request-Id", ""),
        retry_after=retry_after(response.headers.get("Retry-After"), datetime.now(UTC)),
    )
    if isinstance(error, NotAllowed) and error.status == 401:
        error.detail += " Set DAEF_TOKEN, or give --token-file."
    raise error


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or an HTTP date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - now).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _delay(error: Unreachable | ApiError, attempt: int) -> float | None:
    """How long to wait before the next try; None when there is no point in one."""
    if isinstance(error, ApiError):
        if error.status not in AGAIN and error.code != "request_in_flight":
            return None
        if error.retry_after is not None:
            return error.retry_after
    backoff = min(FIRST_DELAY_SECONDS * 2**attempt, LONGEST_DELAY_SECONDS)
    return backoff * random.uniform(0.5, 1.0)


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Usage(f"{base_url!r} is no address; write for example http://127.0.0.1:8080.")
    return base_url.rstrip("/")


def _no_answer(base_url: str, error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError):
        return (
            f"Nothing answers at {base_url}. Start the fabric with `make up`, "
            "or name another address with DAEF_URL or --url."
        )
    return f"The connection to {base_url} was lost ({type(error).__name__})."


def _not_daef(base_url: str) -> str:
    return f"What answers at {base_url} is not DAEF (its answer is not JSON). Check DAEF_URL."
