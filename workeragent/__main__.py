"""`python -m workeragent`: join the fabric, take tickets, run tasks, until told to leave."""

import logging
import os
import signal
import sys
import threading
from types import FrameType

import faultpoints
import probes
from workeragent import agent
from workeragent.config import (
    ConfigurationError,
    StoppedWaitingError,
    fabric_file,
    load,
    probe_address,
)

INTERRUPTED = 130
"""Exit status after a second signal, as shells have it for Ctrl-C."""


def main() -> int:
    """Run the agent; answers the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s agent: %(message)s")
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            # The runner notices the closed pipe and ends as well.
            os._exit(INTERRUPTED)
        stop.set()

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    try:
        _arm()
        signs = probes.Signs()
        _answer_probes(signs)
        agent.run(lambda: load(say=_say, stop=stop), stop, signs)
    except ConfigurationError as error:
        sys.stderr.write(f"daef agent: {error}\n")
        return 1
    except StoppedWaitingError:
        pass
    return 0


def _arm() -> None:
    try:
        faultpoints.arm(os.environ, fabric_file(os.environ).parent)
    except faultpoints.BadFaults as error:
        raise ConfigurationError(f"DAEF_FAULTS {error}") from error


def _answer_probes(signs: probes.Signs) -> None:
    address = probe_address(os.environ)
    if address is None:
        return
    try:
        probes.serve(address, signs)
    except OSError as error:
        raise ConfigurationError(
            f"DAEF_PROBE_ADDR: cannot listen on {address[0]}:{address[1]}: {error.strerror}; "
            "write a free port of this machine."
        ) from error


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
