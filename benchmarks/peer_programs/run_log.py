"""How many tasks ran, and when the last one did: shared memory, one file per worker process.

Costs a task less than a microsecond, so that no peer pays for being measured.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from pathlib import Path

COUNT, MOMENT = struct.Struct("@q"), struct.Struct("@d")
FORM = struct.Struct("@qd")
"""Tasks that ran, and the monotonic second at which the last of them did.

In the machine's own form each is written at once, not byte by byte, so that a reader never sees
half of one. The moment is written first and read last: it is never older than the count.
"""

UNFINISHED = ".new"


class RunLog:
    """This process's own counter in the folder that ``BENCH_RUNS`` names.

    A forked worker gets one of its own, unless ``BENCH_ONE_LOG`` says that its parent waits for it
    and never runs a task itself (RQ's work horse).
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._open()
        if not os.environ.get("BENCH_ONE_LOG"):
            os.register_at_fork(after_in_child=self._open)

    def _open(self) -> None:
        self._lock = threading.Lock()
        # Renamed when it is whole: a reader may come at any moment.
        path = Path(self._folder, f"{os.getpid()}{UNFINISHED}")
        with path.open("w+b") as file:
            file.write(FORM.pack(0, 0.0))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), FORM.size)
        path.rename(path.with_suffix(""))

    def ran(self) -> None:
        """One more task ran, now."""
        with self._lock:
            (count,) = COUNT.unpack_from(self._memory)
            MOMENT.pack_into(self._memory, COUNT.size, time.monotonic())
            COUNT.pack_into(self._memory, 0, count + 1)


def read(folder: str | Path) -> tuple[int, float]:
    """Tasks that ran in all processes so far, and the monotonic second of the last one."""
    paths = [path for path in Path(folder).iterdir() if path.suffix != UNFINISHED]
    found = [FORM.unpack(path.read_bytes()) for path in paths]
    return sum(count for count, _ in found), max((at for _, at in found), default=0.0)
