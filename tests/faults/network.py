"""TCP proxies that can be slow, deaf, mute or cut: the network between everything that runs."""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from daef_site import ports

CHUNK = 64 * 1024
STEP_SECONDS = 0.02


class Network:
    """One thread in which all proxies of a run forward bytes."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.proxies: list[FaultProxy] = []
        self._thread = threading.Thread(target=self._serve, name="network", daemon=True)
        self._thread.start()

    def proxy(self, name: str, targets: Callable[[], list[int]]) -> "FaultProxy":
        """A new proxy in front of the loopback ports that ``targets`` answers."""
        made = FaultProxy(self, name, ports.free_port(), targets)
        self.run(made.listen())
        self.proxies.append(made)
        return made

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this in the network's thread and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def heal(self) -> None:
        """Let every proxy forward at once again."""
        for proxy in self.proxies:
            proxy.heal()

    def close(self) -> None:
        """End every connection and the thread."""
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    async def _end(self) -> None:
        for proxy in self.proxies:
            proxy.server.close()
            await proxy.abort()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)


class FaultProxy:
    """Listens on a loopback port and forwards each connection to one of ``targets``.

    A connection tries the targets in random order, as a balancer would. Faults are changed from
    any thread: ``delay_seconds`` for each chunk, ``deaf`` (no byte comes through in either
    direction, both ends think that the other is only slow), ``mute`` (the same for answers only),
    ``cut`` (every connection ends at once).
    """

    def __init__(
        self, network: Network, name: str, port: int, targets: Callable[[], list[int]]
    ) -> None:
        self.name = name
        self.port = port
        self.delay_seconds = 0.0
        self.deaf = False
        self.mute = False
        self.server: asyncio.Server
        self._network = network
        self._targets = targets
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def broken(self) -> bool:
        """Whether a fault lasts."""
        return self.deaf or self.mute or self.delay_seconds > 0

    def cut(self) -> None:
        """End every connection now."""
        self._network.run(self.abort())

    def heal(self) -> None:
        """Forward everything at once again; what was held back ends, as its peers gave up."""
        self.delay_seconds = 0.0
        if self.deaf or self.mute:
            self.deaf = self.mute = False
            self.cut()

    async def listen(self) -> None:
        """Open the port; in the network's thread."""
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def abort(self) -> None:
        """End every connection; in the network's thread."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await self._connect()
        if upstream is None:
            writer.transport.abort()
            return
        ends = {writer, upstream[1]}
        self._open |= ends
        try:
            await asyncio.gather(
                self._pump(reader, upstream[1], answers=False),
                self._pump(upstream[0], writer, answers=True),
            )
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

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            while self.deaf or (answers and self.mute):
                await asyncio.sleep(STEP_SECONDS)
            writer.write(data)
            await writer.drain()
        # One side has ended: so does the other.
        raise ConnectionResetError
