"""What agent and runner say to each other over their pipe: whole batches, never single tasks.

Tasks and outcomes travel as the protocol's own messages in their binary form, so that neither
side translates them. The table of running tasks is shared memory, because it must still be
readable after the runner has died.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext

import msgspec

CELLS_PER_SLOT = 3
"""task id (0 when idle), lease epoch, start in nanoseconds of the monotonic clock."""


class Run(msgspec.Struct, tag="run"):
    """To the runner: run these tasks; ``tasks`` is a ClaimResponse."""

    tasks: bytes


class Halt(msgspec.Struct, tag="halt"):
    """To the runner: stop these shares, whether running or waiting."""

    leases: list[tuple[int, int]]


class GiveBack(msgspec.Struct, tag="give_back"):
    """To the runner: hand back whatever has not started yet."""


class Ready(msgspec.Struct, tag="ready"):
    """To the agent: the slots are open."""


class Ended(msgspec.Struct, tag="ended"):
    """To the agent: these are done; ``outcomes`` is a SettleRequest.

    An outcome of unspecified kind was stopped, or handed back unrun. ``ran`` tasks were run,
    for ``run_seconds`` in all.
    """

    outcomes: bytes
    ran: int
    run_seconds: float


ToRunner = Run | Halt | GiveBack
ToAgent = Ready | Ended

encode = msgspec.msgpack.Encoder().encode
decode_for_runner = msgspec.msgpack.Decoder(ToRunner).decode
decode_for_agent = msgspec.msgpack.Decoder(ToAgent).decode


@dataclass(frozen=True)
class Running:
    """A task found in a slot: its id, its epoch, and its start in monotonic seconds."""

    task_id: int
    lease_epoch: int
    started: float


class RunningTable:
    """Which slot runs what, in shared memory: written by the runner's slots, read by the agent."""

    def __init__(self, context: ForkServerContext, slots: int) -> None:
        self._cells = context.RawArray(ctypes.c_int64, slots * CELLS_PER_SLOT)
        self._slots = slots

    def enter(self, slot: int, task_id: int, lease_epoch: int, started_ns: int) -> None:
        """The slot starts a task. The id is written last: it makes the cell valid."""
        at = slot * CELLS_PER_SLOT
        self._cells[at + 1] = lease_epoch
        self._cells[at + 2] = started_ns
        self._cells[at] = task_id

    def leave(self, slot: int) -> None:
        """The slot is idle again."""
        self._cells[slot * CELLS_PER_SLOT] = 0

    def read(self) -> Iterator[Running]:
        """The tasks that run, or that ran when the runner died."""
        for at in range(0, self._slots * CELLS_PER_SLOT, CELLS_PER_SLOT):
            task_id = self._cells[at]
            epoch, started = self._cells[at + 1], self._cells[at + 2]
            # A cell that changed meanwhile belongs to another task by now: look again next time.
            if task_id and self._cells[at] == task_id:
                yield Running(task_id, epoch, started / 1e9)
