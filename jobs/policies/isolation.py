"""Which tasks run without neighbours: those that may be what killed their worker.

A task's ``workers_lost`` sums up the weights of its losses. It runs alone from `ALONE_FROM` on.
Nobody's last attempt is left to the doings of neighbours: a task that lost a worker makes its last
one alone, and so does one that never has more than one.
"""

from typing import Final

RUNNER_DIED: Final = 2
"""Weight of a loss in which the task was running while its runner died by itself: it, or one of the
few that ran beside it, is to blame."""

LEASE_RAN_OUT: Final = 1
"""Weight of a loss with the whole agent, which held much more: mostly the machine's or the
network's doing. If all of it ran alone from then on, one lost host would slow down the others."""

ALONE_FROM: Final = 2
"""So at once after its runner died, and after two agents were lost with it."""
