"""Becomes a child that ends with its parent: ``launcher.py PARENT SIGNAL UID COMMAND…``.

Run by file name with ``python -I -S``, so that it starts in a few milliseconds and needs nothing.
It drops to UID (-1 keeps the user), asks Linux for SIGNAL on the parent's death (0 for never), and
turns into COMMAND. A preexec_fn would do the same inside the parent, where threads make it unsafe.
"""

import ctypes
import os
import sys

# From linux/prctl.h.
PR_SET_PDEATHSIG = 1


def become(parent: int, signal_number: int, uid: int, command: list[str]) -> None:
    """Turn this process into ``command``; never returns. Raises OSError where that fails."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if signal_number and sys.platform == "linux":
        # After the uid change, since Linux forgets the wish when credentials change.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent died first")
    os.execv(command[0], command)  # noqa: S606 (that is its purpose)


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
