"""Many callers of one throttle in a process of their own: ``python -m … <what> <subject> <n>``.

It says "ready", waits for a line on standard input, lets all callers go at once, and prints how
many were let through. The database is that of the settings.
"""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import django

django.setup()

from django.conf import settings  # noqa: E402 (needs Django to be set up)
from django.db import connection  # noqa: E402

from access.authentication import authenticate_header  # noqa: E402
from access.errors import AccessError  # noqa: E402
from access.logins import take_attempt  # noqa: E402
from access.throttles import take_submission  # noqa: E402
from audit.events import INTERNAL  # noqa: E402

WORKS = {
    "submission": lambda subject: take_submission(int(subject)),
    "login": lambda subject: take_attempt(
        subject, address=str(get_ident()), method="password", origin=INTERNAL
    ),
    "request": lambda subject: authenticate_header(f"Bearer {subject}"),
}


def main(what, subject, callers):
    """Run the storm."""
    barrier = threading.Barrier(callers + 1)

    def call(_):
        connection.ensure_connection()
        barrier.wait(60)
        barrier.wait(60)
        try:
            WORKS[what](subject)
        except AccessError:
            return 0
        finally:
            connection.close()
        return 1

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call, number) for number in range(callers)]
        barrier.wait(60)
        print("ready", flush=True)
        sys.stdin.readline()
        barrier.wait(60)
        print(sum(call.result() for call in calls), flush=True)


if __name__ == "__main__":
    settings.DAEF_SUBMIT_RATE_LIMIT_PER_MIN = 7
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
