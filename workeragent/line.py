"""The line of tasks that wait for a slot of their runner."""

from collections import deque
from queue import SimpleQueue

from proto.daef.v1 import worker_pb2


class Line:
    """Tasks of a higher priority class first, else first come, first served.

    One thread puts, any number of threads get. A batch of short tasks waits here, and whoever waits
    for the answer of an interactive one shall not wait for all of them.
    """

    def __init__(self) -> None:
        # One place for each task that waits: whoever has taken one finds a task.
        self._places: SimpleQueue[None] = SimpleQueue()
        self._classes: dict[int, deque[worker_pb2.ClaimedTask]] = {}
        # Never changed, only replaced, so that it can be walked through while another class comes.
        self._best_first: tuple[deque[worker_pb2.ClaimedTask], ...] = ()

    def put(self, claimed: worker_pb2.ClaimedTask) -> None:
        """Add a task behind those of its class."""
        line = self._classes.get(claimed.priority)
        if line is None:
            line = self._classes[claimed.priority] = deque()
            self._best_first = tuple(self._classes[key] for key in sorted(self._classes)[::-1])
        line.append(claimed)
        self._places.put(None)

    def get(self) -> worker_pb2.ClaimedTask:
        """Wait for a task."""
        self._places.get()
        return self._first()

    def get_nowait(self) -> worker_pb2.ClaimedTask:
        """Take a task. Raises queue.Empty when none waits."""
        self._places.get_nowait()
        return self._first()

    def empty(self) -> bool:
        """Whether no task waits at this moment."""
        return self._places.empty()

    def _first(self) -> worker_pb2.ClaimedTask:
        while True:
            for line in self._best_first:
                # Another thread may take the last one at any moment; ours is in a later line then.
                try:
                    return line.popleft()
                except IndexError:
                    continue
