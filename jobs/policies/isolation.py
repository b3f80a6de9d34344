"""Which tasks run without neighbours: those that may be what killed their worker."""

STOP_IGNORED = "stop_ignored"
"""Code of an attempt that did not stop when its time was over, so that its runner was killed."""

RUNNER_DIED = 2
"""Weight of a loss in which the task was running while its runner died by itself: it, or one of the
few that ran beside it, is to blame. That of an attempt for which the runner was killed as well."""

LEASE_RAN_OUT = 1
"""Weight of a loss with the whole agent, which held much more: mostly the machine's or the
network's doing. If all of it ran alone from then on, one lost host would slow down the others."""

ALONE_FROM = 2
"""The weight from which a task runs alone: its runner died, or two agents were lost with it."""


def weight(*, error_class: str, error_code: str) -> int:
    """What an attempt that its agent reports as failed adds to the task's suspicion."""
    if error_class == "worker_lost" or error_code == STOP_IGNORED:
        return RUNNER_DIED
    return 0


def runs_alone(*, suspicion: int, attempt: int, max_attempts: int) -> bool:
    """Whether this attempt (counted from 1) is to have no neighbours.

    ``suspicion`` is the sum of its losses' weights. Nobody's last attempt is left to the doings of
    neighbours: one that never had another, and one that has none left after a loss, run alone too.
    """
    last = attempt >= max_attempts
    return suspicion >= ALONE_FROM or (last and (suspicion > 0 or max_attempts == 1))
