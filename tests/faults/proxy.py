"""A TCP proxy that can be slow, deaf, or cut: the network between agents and control planes."""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from typing import Any

CHUNK = 64 * 1024


class FaultProxy:
    """Listens on a loopback port and forwards each connection to one of ``targets``.

    A connection tries the targets in random order, as a balancer would. Faults are changed from
    any thread: ``delay_seconds`` for each chunk, ``deaf`` (bytes are kept, both ends think that
    the other is only slow), ``cut`` (every connection ends at once).
    """

    def __init__(self, port: int, targets: Callable[[], list[int]]) -> None:
        self.port = port
        self.delay_seconds = 0.0
        self.deaf = False
        self._targets = targets
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"proxy-{port}", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def cut(self) -> None:
        """End every connection now."""
        self._soon(self._abort())

    def heal(self) -> None:
        """Forward everything at once again; what went deaf ends, as its peers have given up."""
        self.delay_seconds = 0.0
        if self.deaf:
            self.deaf = False
            self.cut()

    def close(self) -> None:
        """Stop listening and end the thread."""
        self._soon(self._stop())
        self._thread.join(5)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self.port)
        )
        self._ready.set()
        self._loop.run_forever()
        self._loop.close()

    async def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        await self._abort()
        await asyncio.sleep(0.05)
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)
        self._loop.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await self._connect()
        if upstream is None:
            writer.transport.abort()
            return
        ends = {writer, upstream[1]}
        self._open |= ends
        try:
            await asyncio.gather(self._pump(reader, upstream[1]), self._pump(upstream[0], writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        targets = self._targets()
        for port in random.sample(targets, len(targets)):
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
        return None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            while self.deaf:
                await asyncio.sleep(0.02)
            writer.write(data)
            await writer.drain()
        # One side has ended: so does the other.
        raise ConnectionResetError
