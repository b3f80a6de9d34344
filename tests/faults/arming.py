"""Which fault points a process is started with."""

import random

ROLES = {
    "gateway": (
        "gateway.after_validate",
        "gateway.after_insert_before_commit",
        "gateway.after_commit_before_reply",
        "action.after_update_before_audit",
    ),
    "controlplane": (
        "ticketer.after_select",
        "ticketer.after_push",
        "ticketer.due_before_commit",
        "claim.before_commit",
        "claim.after_commit_before_reply",
        "settle.before_commit",
        "settle.after_commit_before_reply",
        "reaper.between_select_and_update",
    ),
    "worker": (
        "worker.after_pop_before_claim",
        "worker.after_claim_before_exec",
        "worker.during_exec",
        "worker.after_exec_before_settle",
        "worker.after_settle_before_ack",
    ),
}
"""The points that processes of a role pass; the migrator's own is fired at the start of a run."""

RARE = {
    "gateway.after_validate": 6,
    "gateway.after_insert_before_commit": 6,
    "gateway.after_commit_before_reply": 6,
    "ticketer.after_select": 6,
    "ticketer.after_push": 4,
    "ticketer.due_before_commit": 2,
    "action.after_update_before_audit": 1,
    "claim.before_commit": 10,
    "claim.after_commit_before_reply": 5,
    "reaper.between_select_and_update": 3,
    "worker.after_pop_before_claim": 12,
    "worker.after_exec_before_settle": 40,
}
"""Points that are passed seldom: the highest hit at which they fire. For others it is OFTEN."""

OFTEN = 60


FIRST_SUBMISSIONS = 10


class Arming:
    """Draws faults for each start of a process. With ``over`` set it draws none."""

    def __init__(self, seed: int, *, density: float = 1.0) -> None:
        self._random = random.Random(f"{seed} arming")
        self._density = density
        self.over = False

    def draw(self, role: str, fired: set[str], *, first: bool) -> str:
        """The value of ``DAEF_FAULTS`` for the next start of a process of this role.

        Points that have never fired are armed always, others as often as ``density`` says. In the
        ``first`` processes half of them are; all in gateways, which end seldom, where they fire
        some hits later: the first submissions come before there is any work to disturb.
        """
        if self.over:
            return ""
        later = FIRST_SUBMISSIONS if first and role == "gateway" else 0
        unheard = 0.5 if first and role != "gateway" else 1.0
        chances = {point: self._random.random() for point in ROLES[role]}
        return ",".join(
            self._entry(point, later)
            for point, chance in chances.items()
            if chance < (self._density if point in fired else unheard)
        )

    def _entry(self, point: str, later: int) -> str:
        # A raise where no code of ours could: threads of agents let nothing out.
        actions = ["kill", "stop", "delay", "delay"]
        if not point.startswith(("worker.", "ticketer.after_push")):
            actions.append("raise")
        if point == "worker.after_exec_before_settle":
            # The zombie that settles what another runs by now: what fences are for.
            actions += ["stop"] * 4
        action = self._random.choice(actions)
        if action == "delay":
            action = f"delay:{self._random.randint(100, 1500)}"
        return f"{point}={action}@{later + self._random.randint(1, RARE.get(point, OFTEN))}"
