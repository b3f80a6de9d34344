"""``AIJob``: where the job stands."""

from typing import Annotated, ClassVar, Literal

import msgspec

from kube.resources.conditions import ENDS, OUTSIDE, REFUSALS, WAITS, Condition, ConditionType
from kube.resources.fields import Rule, items, moment, number, part, text, word

JobState = Literal[
    "Pending",
    "Running",
    "Suspended",
    "Succeeded",
    "PartiallySucceeded",
    "Failed",
    "Cancelled",
]


class TaskCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Tasks by their state."""

    total: Annotated[int, number("All tasks there are so far.", 0, 2**31 - 1)] = 0
    blocked: Annotated[int, number("Wait for other tasks.", 0, 2**31 - 1)] = 0
    queued: Annotated[int, number("Wait for an agent.", 0, 2**31 - 1)] = 0
    running: Annotated[int, number("Are being worked on.", 0, 2**31 - 1)] = 0
    succeeded: Annotated[int, number("Are done.", 0, 2**31 - 1)] = 0
    dead_lettered: Annotated[int, number("Were given up.", 0, 2**31 - 1)] = 0
    cancelled: Annotated[int, number("Will not be done.", 0, 2**31 - 1)] = 0


class StageStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Alike tasks of the plan."""

    name: Annotated[str, text("The stage's name.", 255, shortest=1)]
    total: Annotated[int, number("Tasks of the stage so far.", 0, 2**31 - 1)] = 0
    running: Annotated[int, number("Are being worked on.", 0, 2**31 - 1)] = 0
    succeeded: Annotated[int, number("Are done.", 0, 2**31 - 1)] = 0
    dead_lettered: Annotated[int, number("Were given up.", 0, 2**31 - 1)] = 0


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task that was given up."""

    task: Annotated[str, text("The task's id.", 63)]
    code: Annotated[str, text("The error's code.", 63)]
    message: Annotated[str, text("The beginning of the error's message.", 256)] = ""


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What models read and wrote."""

    input_tokens: Annotated[int, number("Tokens that models read.", 0, 2**53)] = 0
    output_tokens: Annotated[int, number("Tokens that models wrote.", 0, 2**53)] = 0


class Spend(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Money in millionths of a US dollar."""

    settled_micros: Annotated[
        int, number("Spent, in millionths of a US dollar, rounded up.", 0, 2**53)
    ] = 0
    reserved_micros: Annotated[
        int, number("Reserved by running tasks, in millionths of a US dollar.", 0, 2**53)
    ] = 0


class AIJobStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A bounded summary; all of it is at /v1/jobs/{jobName}."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    observed_generation: Annotated[
        int, number("The generation of the spec that the operator acted upon.", 0, 2**53)
    ] = 0
    job_name: Annotated[str, text("The job's id in the fabric, such as job-12.", 63)] = ""
    job_uid: Annotated[str, text("The job's UUID in the fabric.", 36)] = msgspec.field(
        default="", name="jobUID"
    )
    state: (
        Annotated[
            JobState,
            word("The job's status in the fabric. Programs read the conditions instead."),
        ]
        | None
    ) = None
    reason: Annotated[str, text("One word for why it is in that state.", 63)] = ""
    message: Annotated[str, text("The same for people.", 1024)] = ""
    policy: Annotated[
        str, text("The revision of the policy that the job keeps: enterprise-default@1.", 127)
    ] = ""
    pool: Annotated[str, text("The pool whose agents work on it.", 63)] = ""
    completions: Annotated[str, text("Ended tasks of all known ones, for people: 493/500.", 31)] = (
        ""
    )
    tasks: Annotated[TaskCounts, part("Tasks by their state.")] | None = None
    percent: Annotated[int, number("Progress in percent.", 0, 100)] = 0
    stages: Annotated[
        list[StageStatus],
        items("The plan's stages, the first sixteen.", 16, kind="map", key="name"),
    ] = []
    usage: Annotated[TokenUsage, part("What models read and wrote.")] | None = None
    spend: Annotated[Spend, part("What the job cost so far.")] | None = None
    cost_usd: Annotated[
        str, text("What the job cost so far, in US dollars, for people: 0.001421.", 31)
    ] = msgspec.field(default="", name="costUSD")
    failures: Annotated[list[Failure], items("Tasks that were given up, the first ten.", 10)] = []
    start_time: Annotated[str, moment("When its first task was claimed.")] | None = None
    completion_time: Annotated[str, moment("When it ended.")] | None = None
    conditions: Annotated[
        list[Condition],
        items("What holds of the job.", 8, kind="map", key="type"),
    ] = []


JOB_CONDITIONS = (
    ConditionType(
        "Accepted",
        "The fabric has stored the job.",
        {"Submitted": "The fabric has stored the job.", **REFUSALS, **OUTSIDE},
    ),
    ConditionType(
        "Running",
        "An agent works on one of its tasks; Unknown while the fabric cannot be asked.",
        {**WAITS, **ENDS, **OUTSIDE, "NotAccepted": "The fabric does not have the job."},
    ),
    ConditionType(
        "Suspended",
        "No more of its tasks are started.",
        {
            "UserSuspended": "spec.suspend is true, or it was suspended over REST.",
            "NotSuspended": "Its tasks may start.",
        },
    ),
    ConditionType(
        "Succeeded",
        "It ended well; Unknown until it ends.",
        {"InProgress": "It has not ended.", **ENDS, **REFUSALS},
    ),
    ConditionType(
        "Complete",
        "It ended, well or not, and nothing of it runs any more.",
        {"InProgress": "It has not ended.", **ENDS, **REFUSALS},
    ),
)
