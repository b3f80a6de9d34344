"""Many callers at once over kept connections, cheap enough not to be what is measured."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Ask:
    """A request to make. One with ``hang_up`` is sent whole, and its answer never read."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False

    def encoded(self, host: str) -> bytes:
        """The request as it goes over the wire."""
        data = b"" if self.body is None else json.dumps(self.body).encode()
        headers = {"Host": host, "Content-Length": str(len(data)), **self.headers}
        if data:
            headers["Content-Type"] = "application/json"
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + data


@dataclass(frozen=True)
class Told:
    """What was answered; status 0 where the connection broke instead, ``text`` says how.

    ``at`` is when (monotonic seconds), ``seconds`` how long it took.
    """

    ask: Ask
    status: int
    headers: dict[str, str]
    text: str
    at: float
    seconds: float

    @property
    def asked_at(self) -> float:
        """When the request was sent."""
        return self.at - self.seconds

    @property
    def document(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.text)


class Caller:
    """One kept connection; opened again only after it broke or was hung up."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, ask: Ask) -> Told:
        """Make one request and wait for its answer; never raises for a broken connection."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, headers, text = await self._exchange(ask)
        except (OSError, EOFError, TimeoutError) as error:
            await self.hang_up()
            status, headers, text = 0, {}, repr(error)
        now = time.monotonic()
        return Told(ask, status, headers, text, now, now - began)

    async def _exchange(self, ask: Ask) -> tuple[int, dict[str, str], str]:
        if self._streams is None:
            address, _, port = self._host.rpartition(":")
            self._streams = await asyncio.open_connection(address, int(port))
        reader, writer = self._streams
        writer.write(ask.encoded(self._host))
        await writer.drain()
        if ask.hang_up:
            await self.hang_up()
            return 0, {}, "hung up"
        return await _answer(reader)

    async def hang_up(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    text = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, text.decode()


async def herd(
    host: str, asks: Iterable[Ask], *, connections: int, pause: float = 0.0
) -> list[Told]:
    """Make all requests, each connection one after the other, and answer what was told.

    ``pause``: seconds that each connection waits between an answer and its next request.
    """
    waiting: Iterator[Ask] = iter(asks)
    told: list[Told] = []

    async def call() -> None:
        caller = Caller(host)
        for ask in waiting:
            told.append(await caller.ask(ask))
            await asyncio.sleep(pause)
        await caller.hang_up()

    await asyncio.gather(*(call() for _ in range(connections)))
    return told


def again(asks: Iterable[Ask], stop: asyncio.Event) -> Iterator[Ask]:
    """The same requests over and over until told to stop."""
    for ask in itertools.cycle(asks):
        if stop.is_set():
            return
        yield ask
