"""Kind `out_of_memory`: takes all the memory that the process may have (RLIMIT_AS)."""

import resource
from pathlib import Path

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result

MEGABYTE = 2**20


def run(context: TaskContext) -> Result:
    """Parameter ``megabytes``: how much more the runner may take from now on (default 64).

    Raises MemoryError always, also where the system keeps no such limit.
    """
    megabytes = int(context.task.parameters.get("megabytes", 64))
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + megabytes * MEGABYTE, before[1]))
    hoard: list[bytearray] = []
    try:
        while len(hoard) < 2 * megabytes:
            hoard.append(bytearray(MEGABYTE))
        raise MemoryError
    finally:
        hoard.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space() -> int:
    """Bytes of address space that this process has by now; 0 where /proc does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()
