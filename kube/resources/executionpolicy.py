"""``ExecutionPolicy``: what jobs may use and spend."""

from typing import Annotated, ClassVar

import msgspec

from kube.resources.aijob import JobType, Priority
from kube.resources.conditions import Condition, ready
from kube.resources.fields import (
    NAME,
    Rule,
    dollars,
    in_rest,
    items,
    lower_case,
    number,
    or_none,
    text,
    word,
)

MOST_SECONDS = 1_000_000_000


def _names(field: str) -> Rule:
    return Rule(
        f"!has(self.{field}) || !('*' in self.{field}) || size(self.{field}) == 1",
        f"spec.{field} must not name others beside '*', which allows every one",
        f".{field}",
    )


class ExecutionPolicySpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The policy of the resource's name; a job keeps the revision that it began with."""

    rules: ClassVar = (_names("models"), _names("locations"))

    pool: Annotated[
        str,
        text(
            "The pool whose agents run the jobs.",
            63,
            shortest=1,
            pattern=NAME,
            rest=in_rest("pool"),
        ),
    ] = "default"
    types: Annotated[
        list[Annotated[JobType, word("A type of job.")]],
        items("Types of jobs that are allowed.", 5, least=1, kind="set", rest=lower_case("types")),
    ] = msgspec.field(default_factory=lambda: ["Chat", "Analyze", "Batch", "Embed", "Pipeline"])
    priorities: Annotated[
        list[Annotated[Priority, word("A priority.")]],
        items(
            "Priorities that are allowed.", 3, least=1, kind="set", rest=lower_case("priorities")
        ),
    ] = msgspec.field(default_factory=lambda: ["Interactive", "Standard", "Batch"])
    models: Annotated[
        list[Annotated[str, text("A model's name, or *.", 200, shortest=1)]],
        items(
            "Models that are allowed; * alone allows every one.",
            100,
            least=1,
            kind="set",
            rest=in_rest("models"),
        ),
    ] = msgspec.field(default_factory=lambda: ["*"])
    locations: Annotated[
        list[Annotated[str, text("A location of endpoints, or *.", 63, shortest=1)]],
        items(
            "Locations that data may go to; * alone allows every one.",
            100,
            least=1,
            kind="set",
            rest=in_rest("locations"),
        ),
    ] = msgspec.field(default_factory=lambda: ["*"])
    chat_model: Annotated[
        str,
        text(
            "The model that writes where a job names none.",
            200,
            shortest=1,
            rest=in_rest("chat_model"),
        ),
    ] = "smollm2-135m"
    embedding_model: Annotated[
        str,
        text("The model that makes vectors.", 200, shortest=1, rest=in_rest("embedding_model")),
    ] = "minilm-l6-v2"
    max_tasks: Annotated[
        int, number("Most tasks of a job.", 1, 1_000_000, in_rest("max_tasks"))
    ] = 50_000
    max_documents: Annotated[
        int, number("Most documents of a job.", 1, 1_000_000, in_rest("max_documents"))
    ] = 10_000
    max_attempts: (
        Annotated[
            int,
            number(
                "Attempts before a task is a dead letter; the fabric's setting where left out.",
                1,
                1_000,
                in_rest("max_attempts"),
            ),
        ]
        | None
    ) = None
    max_parallelism: (
        Annotated[
            int,
            number(
                "Most tasks of a job that run at once.", 1, 1_000_000, in_rest("max_parallelism")
            ),
        ]
        | None
    ) = None
    limit_micros: Annotated[
        int,
        number(
            "Most that a job may cost, in millionths of a US dollar; 0 sets no limit.",
            0,
            1_000_000_000_000,
            dollars("limit_usd"),
        ),
    ] = 10_000_000
    schedule_to_start_seconds: (
        Annotated[
            int,
            number(
                "Seconds a ready task may wait for an agent.",
                1,
                MOST_SECONDS,
                in_rest("schedule_to_start_seconds"),
            ),
        ]
        | None
    ) = None
    start_to_close_seconds: Annotated[
        int,
        number("Seconds an attempt may take.", 1, MOST_SECONDS, in_rest("start_to_close_seconds")),
    ] = 300
    schedule_to_close_seconds: Annotated[
        int,
        number(
            "Seconds a task may take with all its attempts and waits; 0 sets no limit.",
            0,
            MOST_SECONDS,
            or_none("schedule_to_close_seconds"),
        ),
    ] = 86_400
    job_deadline_seconds: (
        Annotated[
            int,
            number(
                "Seconds a job may take from its submission.",
                1,
                MOST_SECONDS,
                in_rest("job_deadline_seconds"),
            ),
        ]
        | None
    ) = None


class ExecutionPolicyStatus(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    """Whether the fabric has the policy, and as which revision."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    observed_generation: Annotated[
        int, number("The generation of the spec that the operator acted upon.", 0, 2**53)
    ] = 0
    revision: Annotated[
        int, number("The policy's revision in the fabric; each change makes one.", 0, 2**31 - 1)
    ] = 0
    conditions: Annotated[
        list[Condition], items("What holds of the policy.", 8, kind="map", key="type")
    ] = []


POLICY_CONDITIONS = (ready("The fabric has the policy as the spec says."),)
