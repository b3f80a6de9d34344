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


TRY_AGAIN_SECONDS: Final = 1.0
"""Between two tries to open a connection where the server has no more room and others get by."""


class PoolTimeout(psycopg.OperationalError):
    """Every connection stayed in use for as long as a caller may wait."""


class _Idle(NamedTuple):
    """A connection nobody uses, and since when (monotonic seconds)."""

    connection: Connection
    since: float


class _Waiter:
    """A caller in the line. It is called with a connection, with leave to open one, or in vain."""

    def __init__(self, refusal: psycopg.OperationalError | None) -> None:
        self.refusal = refusal
        self.connection: Connection | None = None
        self.has_leave = False
        self._called = threading.Lock()
        self._called.acquire()

    def call(self, connection: Connection | None = None, *, leave: bool = False) -> None:
        """Let it go on; only ever once, and with the pool's lock held."""
        self.connection, self.has_leave = connection, leave
        self._called.release()

    def wait(self, seconds: float) -> bool:
        """Whether it was called in time."""
        return self._called.acquire(timeout=max(0.0, seconds))


class Pool:
    """Keeps connections between uses; has the methods that Django asks of a pool.

    ``open_new`` makes a connection and raises psycopg's OperationalError where it cannot. At most
    ``max_size`` are open; callers wait in line, up to ``timeout`` seconds, for one of them. Those
    that were idle for ``max_idle`` seconds are closed, by a thread that lives as long as there are
    any.
    """

    def __init__(
        self, open_new: Callable[[], Connection], *, max_size: int, timeout: float, max_idle: float
    ) -> None:
        self._open_new = open_new
        self._max_size = max_size
        self._timeout = timeout
        self._max_idle = max_idle
        self._lock = threading.Lock()
        self._idle: deque[_Idle] = deque()
        self._line: deque[_Waiter] = deque()
        self._size = 0
        self._refused_at = 0.0
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
            found = self._turn(deadline, refusal)
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
        with self._lock:
            if self._line:
                self._line.popleft().call(connection)
                return
            self._idle.append(_Idle(connection, now))
            if not self._sweeping:
                self._sweeping = True
                threading.Thread(target=self._sweep, name="pool-sweeper", daemon=True).start()

    def close(self) -> None:
        """Close what is idle now, and everything else when it comes back."""
        self._closed = True
        self._close_idle_since(time.monotonic())

    def _turn(self, deadline: float, refusal: psycopg.OperationalError | None) -> Connection | None:
        """The connection that was used last, or None: leave to open one more.

        Nobody gets that leave twice: who was refused waits for another's connection.
        """
        with self._lock:
            if self._idle:
                return self._idle.pop().connection
            if refusal is None and self._may_open():
                self._size += 1
                return None
            if refusal is not None and self._size == 0:
                raise refusal
            waiter = _Waiter(refusal)
            self._line.append(waiter)
        return self._called(waiter, deadline)

    def _may_open(self) -> bool:
        """Whether there is room for one more; while others wait for some, a try now and then."""
        tried = bool(self._line) and time.monotonic() - self._refused_at < TRY_AGAIN_SECONDS
        return self._size < self._max_size and not tried

    def _called(self, waiter: _Waiter, deadline: float) -> Connection | None:
        if not waiter.wait(deadline - time.monotonic()):
            with self._lock:
                if waiter in self._line:
                    self._line.remove(waiter)
                    raise waiter.refusal or self._timed_out()
        if waiter.connection is None and not waiter.has_leave:
            raise waiter.refusal or self._timed_out()
        return waiter.connection

    def _timed_out(self) -> PoolTimeout:
        return PoolTimeout(f"all {self._max_size} connections were in use for {self._timeout:g} s")

    def _opened(self) -> Connection:
        try:
            connection = self._open_new()
        except BaseException:
            self._refused_at = time.monotonic()
            self._give_place_up()
            raise
        connection._created_at = time.monotonic()
        return connection

    def _forget(self, connection: Connection) -> None:
        connection.close()
        self._give_place_up()

    def _give_place_up(self) -> None:
        """Let the first who was not refused open one; with none left, tell those who were."""
        with self._lock:
            self._size -= 1
            for waiter in self._line:
                if waiter.refusal is None:
                    self._line.remove(waiter)
                    self._size += 1
                    waiter.call(leave=True)
                    return
            while self._line and self._size == 0:
                self._line.popleft().call()

    def _sweep(self) -> None:
        while True:
            time.sleep(self._max_idle / 4)
            self._close_idle_since(time.monotonic() - self._max_idle)
            with self._lock:
                if not self._idle:
                    self._sweeping = False
                    return

    def _close_idle_since(self, moment: float) -> None:
        with self._lock:
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
