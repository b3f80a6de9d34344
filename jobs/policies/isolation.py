"""Which tasks run without neighbours: those that may be what killed their worker."""

RUNNER_DIED = 2
"""Weight of a loss in which the task was running while its runner died by itself: it, or one of the
few that ran beside it, is to blame."""

LEASE_RAN_OUT = 1
"""Weight of a loss with the whole agent, which held much more: mostly the machine's or the
network's doing. If all of it ran alone from then on, one lost host would slow down the others."""

ALONE_FROM = 2
"""The weight from which a task runs alone: its runner died, or two agents were lost with it."""


def runs_alone(*, suspicion: int, attempt: int, max_attempts: int) -> bool:
    """Whether this attempt (counted from 1) is to have no neighbours.

    ``suspicion`` is the sum of its losses' weights. Nobody's last attempt is left to the doings of
    neighbours: one that never had another, and one that has none left after a loss, run alone too.
    """
    last = attempt >= max_attempts
    return suspicion >= ALONE_FROM or (last and (suspicion > 0 or max_attempts == 1))
