"""Real lack of memory: a control group whose limit is less than what its process needs."""

import contextlib
import os
from pathlib import Path

VERSION_1 = Path("/sys/fs/cgroup/memory")
VERSION_2 = Path("/sys/fs/cgroup")
LIMIT_BYTES = 256 * 1024


def place() -> Path | None:
    """Where groups with a limit can be made; None where this process may not."""
    for root, limit in ((VERSION_1, "memory.limit_in_bytes"), (VERSION_2, "memory.max")):
        probe = root / f"daef-faults-{os.getpid()}-probe"
        try:
            probe.mkdir()
        except OSError:
            continue
        try:
            if (probe / limit).exists():
                return root
        finally:
            probe.rmdir()
    return None


class StarvedGroup:
    """A group that may take next to nothing more; whoever is in it is killed by the kernel."""

    def __init__(self, root: Path, name: str) -> None:
        self._folder = root / f"daef-faults-{os.getpid()}-{name}"
        self._folder.mkdir(exist_ok=True)
        limit = "memory.max" if root == VERSION_2 else "memory.limit_in_bytes"
        (self._folder / limit).write_text(str(LIMIT_BYTES), encoding="ascii")

    def take(self, pid: int) -> None:
        """Move a process here; the memory it has stays charged where it was. Raises OSError."""
        (self._folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def close(self) -> None:
        """Remove the group once it is empty."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()
