"""A disk of its own for the database, so that it can be full: root can have one in memory."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

# From linux/sched.h.
CLONE_NEWNS = 0x00020000
SIZE = "4g"
TRIES = 5
ROOM_BYTES = 16 * 1024
"""What is left on a full disk: no whole block of a table or of the log fits twice."""


class Disk:
    """A folder that is a file system of a size we choose; an ordinary folder where that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o755)
        self.reason = self._mount()
        """Why it cannot be filled; empty where it can."""

    def fill(self) -> bool:
        """Leave no room to write; whether that could be done."""
        for _ in range(TRIES):
            used = shutil.disk_usage(self.folder).used
            try:
                self._run("mount", "-o", f"remount,size={used + ROOM_BYTES}", str(self.folder))
            except subprocess.CalledProcessError:
                # More was written meanwhile than there is to be room for.
                continue
            return True
        return False

    def empty(self) -> None:
        """Have room again; does nothing where it was never full."""
        if not self.reason:
            self._run("mount", "-o", f"remount,size={SIZE}", str(self.folder))

    def close(self) -> None:
        """Give the file system up."""
        if not self.reason:
            self._run("umount", "--lazy", str(self.folder))
            self.reason = "closed"

    def _mount(self) -> str:
        if os.geteuid() != 0:
            return "only root may mount a file system of a size"
        try:
            _leave_mounts()
            self._run("mount", "--make-rprivate", "/")
            self._run(
                *("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755"),
                *("daef-faults", str(self.folder)),
            )
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no file system can be mounted here ({type(error).__name__})"
        return ""

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=10)


def _leave_mounts() -> None:
    """Let this thread, and what it starts, have mounts of their own.

    Nobody else sees them, and they are gone with the last of these processes, however that ends.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
