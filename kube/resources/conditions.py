"""Conditions: their shape, and the closed lists of their types and reasons."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import msgspec

from kube.resources.fields import Rule, moment, number, text, word

ENDS = {
    "AllSucceeded": "Every task succeeded.",
    "WithinTolerance": "It ended with dead letters, no more than the job tolerates.",
    "FailuresExceeded": "More tasks failed than the job tolerates.",
    "BudgetExceeded": "The job's budget is spent.",
    "DeadlineExceeded": "The job's deadline passed.",
    "DependencyFailed": "No final task could run, since tasks before it failed.",
    "Cancelled": "The job was cancelled, by spec.cancel, over REST or by deletion.",
}
"""Why a job of the fabric ended: the ends of the API's list of reasons."""

WAITS = {
    "Planning": "The job is stored and about to be queued.",
    "DependencyPending": "Tasks wait for others of the job.",
    "BackoffPending": "Failed tasks wait before they are tried again.",
    "WaitingForWorkers": "No agent of the pool has a free slot, or none is alive.",
    "NoMatchingWorker": "No live agent can run what is ready.",
    "WaitingForFairShare": "Other tenants come first.",
    "HeldBackForPriority": "Free slots are kept for interactive work.",
    "ParallelismReached": "spec.parallelism or the pool's limit is reached.",
    "TenantLimitReached": "The tenant's limit of running tasks is reached.",
    "RateLimited": "The models' endpoint asks for slower calls.",
    "ModelUnavailable": "No endpoint that is allowed serves the model.",
    "WaitingForBudget": "Running tasks have reserved what is left of the budget.",
    "Suspended": "The job is suspended.",
    "Running": "Tasks are running.",
}
"""Why a job of the fabric is where it is: the rest of the API's list of reasons."""

REFUSALS = {
    "InvalidInput": "The fabric refuses the job; the message names the field.",
    "PolicyDenied": "The policy does not allow the job.",
    "PolicyNotFound": "There is no policy of that name.",
    "PlanRefused": "The job cannot be planned as asked.",
    "PlanHashMismatch": "The plan is another than spec.planHash names.",
    "TenantMismatch": "The namespace works for another tenant.",
}
"""Why a job was never taken. A job's spec cannot be changed, so these are ends too."""

OUTSIDE = {
    "ReferenceNotFound": "A ConfigMap, Secret or key that is referred to is not there (yet).",
    "FabricUnavailable": "The fabric cannot be reached or cannot answer; it is asked again.",
    "Unauthorized": "The fabric refuses the operator's token; an operator has to renew it.",
}
"""What passes by itself or by somebody else's hand; the operator tries again."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One aspect of a resource's state, as Kubernetes' own resources tell it."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    type: Annotated[
        str,
        text(
            "What the condition tells about.",
            63,
            shortest=1,
            pattern=r"^[A-Za-z]([A-Za-z0-9]*[A-Za-z0-9])?$",
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], word("Whether it holds.")]
    reason: Annotated[
        str,
        text(
            "One word for why it holds or not, from a closed list.",
            63,
            shortest=1,
            pattern=r"^[A-Za-z]([A-Za-z0-9]*[A-Za-z0-9])?$",
        ),
    ]
    message: Annotated[str, text("The same for people, with the remedy.", 1024)] = ""
    last_transition_time: Annotated[str, moment("When its status last changed.")]
    observed_generation: Annotated[
        int, number("The generation of the spec that it is about.", 0, 2**53)
    ] = 0


@dataclass(frozen=True)
class ConditionType:
    """A type of condition, what ``True`` means, and every reason it may bear."""

    name: str
    meaning: str
    reasons: dict[str, str]


def ready(meaning: str, **reasons: str) -> ConditionType:
    """The condition of what is declared in the fabric under its own name."""
    declared = {
        "Declared": "The fabric has it as the spec says.",
        "InvalidSpec": "The fabric refuses it; the message names the field.",
        "NameTaken": "Another resource of this kind declared the name first.",
    }
    return ConditionType("Ready", meaning, {**declared, **reasons, **OUTSIDE})
