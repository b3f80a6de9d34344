"""Kind `segfault`: reads where no memory is, as broken native code does."""

import ctypes

from workeragent.executors.context import TaskContext
from workeragent.outcome import Result


def run(context: TaskContext) -> Result:
    """Never returns: the runner dies by SIGSEGV."""
    ctypes.string_at(0)
    raise AssertionError("address 0 could be read")
