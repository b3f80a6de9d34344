"""The connections of one process: whoever needs one opens it, so whoever needs one hears why not.

Connecting happens in the caller's own thread and is never put off. A database that refuses is told
of at once, and the first request after its return finds it; no timer has to run out in between
(decision 0010).
"""

import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus

Connection = psycopg.Connection[tuple[object, ...]]

LONGEST_LIFE_SECONDS: Final = 3600.0
"""A session's caches in PostgreSQL only grow; after this long a new one takes its place."""


class PoolTimeout(psycopg.OperationalError):
    """Every connection stayed in use for as long as a caller may wait."""


class _Idle(NamedTuple):
    """A connection nobody uses, and since when (monotonic seconds)."""

    connection: Connection
    since: float


class Pool:
    """Keeps connections between uses; has the methods that Django asks of a pool.

    ``open_new`` makes a connection and raises psycopg's OperationalError where it cannot. At most
    ``max_size`` are open; a caller waits up to ``timeout`` seconds for one of them. Those that were
    idle for ``max_idle`` seconds are closed, by a thread that lives as long as there are any.
    """

    def __init__(
        self, open_new: Callable[[], Connection], *, max_size: int, timeout: float, max_idle: float
    ) -> None:
        self._open_new = open_new
        self._max_size = max_size
        self._timeout = timeout
        self._max_idle = max_idle
        self._changed = threading.Condition()
        self._idle: deque[_Idle] = deque()
        self._size = 0
        self._sweeping = False
        self._closed = False

    def open(self) -> None:
        """Do nothing: connections are opened when they are needed."""

    def getconn(self) -> Connection:
        """A living connection that is the caller's until `putconn`.

        Raises what connecting raised where no other caller's connection comes back in time, and
        PoolTimeout where all ``max_size`` are in use.
        """
        deadline = time.monotonic() + self._timeout
        refusal: psycopg.OperationalError | None = None
        while True:
            found = self._idle_or_leave(deadline, refusal)
            if found is None:
                try:
                    found = self._opened()
                except psycopg.OperationalError as error:
                    # The server may only have no more room: then one of the others' will do.
                    refusal = error
                    continue
            elif not _is_alive(found):
                self._forget(found)
                continue
            found._pool = self  # type: ignore[assignment]  # by it Django finds the way back
            return found

    def putconn(self, connection: Connection) -> None:
        """Take a connection back; one that is broken, old or in a transaction is closed."""
        connection._pool = None
        now = time.monotonic()
        tired = now - connection._created_at > LONGEST_LIFE_SECONDS
        usable = connection.pgconn.transaction_status == TransactionStatus.IDLE
        if self._closed or tired or not usable:
            self._forget(connection)
            return
        with self._changed:
            self._idle.append(_Idle(connection, now))
            self._changed.notify()
            if not self._sweeping:
                self._sweeping = True
                threading.Thread(target=self._sweep, name="pool-sweeper", daemon=True).start()

    def close(self) -> None:
        """Close what is idle now, and everything else when it comes back."""
        self._closed = True
        self._close_idle_since(time.monotonic())

    def _idle_or_leave(
        self, deadline: float, refusal: psycopg.OperationalError | None
    ) -> Connection | None:
        """The connection that was used last, or None: leave to open one more.

        Nobody gets that leave twice: who was refused waits for another's connection.
        """
        with self._changed:
            while not self._idle:
                if refusal is None and self._size < self._max_size:
                    self._size += 1
                    return None
                if refusal is not None and self._size == 0:
                    raise refusal
                left = deadline - time.monotonic()
                if left <= 0:
                    raise refusal or self._timed_out()
                self._changed.wait(left)
            return self._idle.pop().connection

    def _timed_out(self) -> PoolTimeout:
        return PoolTimeout(f"all {self._max_size} connections were in use for {self._timeout:g} s")

    def _opened(self) -> Connection:
        try:
            connection = self._open_new()
        except BaseException:
            self._give_place_up()
            raise
        connection._created_at = time.monotonic()
        return connection

    def _forget(self, connection: Connection) -> None:
        connection.close()
        self._give_place_up()

    def _give_place_up(self) -> None:
        with self._changed:
            self._size -= 1
            # All, since those who were refused can do nothing with it unless it was the last.
            self._changed.notify_all()

    def _sweep(self) -> None:
        while True:
            time.sleep(self._max_idle / 4)
            self._close_idle_since(time.monotonic() - self._max_idle)
            with self._changed:
                if not self._idle:
                    self._sweeping = False
                    return

    def _close_idle_since(self, moment: float) -> None:
        with self._changed:
            late = [idle.connection for idle in self._idle if idle.since <= moment]
            self._idle = deque(idle for idle in self._idle if idle.since > moment)
        for connection in late:
            self._forget(connection)


def _is_alive(connection: Connection) -> bool:
    """Whether an idle connection's server is still there, without a round trip.

    Nobody asked it anything: whatever can be read from its socket is its end, or a message that
    tells of it.
    """
    try:
        watch = select.poll()
        watch.register(connection.pgconn.socket, select.POLLIN)
        return not watch.poll(0)
    except psycopg.Error:
        return False
