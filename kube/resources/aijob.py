"""``AIJob``: what one job of the fabric is to do."""

from typing import Annotated, ClassVar, Literal

import msgspec

from kube.resources.aijob_parts import DocumentsSource, JobBudget, Parameters, WorkSource
from kube.resources.fields import (
    NAME,
    NOT_BLANK,
    POLICY_NAME,
    Rule,
    flag,
    in_rest,
    lower_case,
    mapping,
    number,
    part,
    text,
    word,
)

MUTABLE = ("suspend", "cancel", "ttlSecondsAfterFinished")
"""What may be changed: the fabric plans a job once, from what it was given."""

JobType = Literal["Chat", "Analyze", "Embed", "Batch", "Pipeline"]
Priority = Literal["Interactive", "Standard", "Batch"]


CHAT_PARAMETERS = ("maxTokens", "temperaturePercent", "system", "groupDocuments", "groupTokens")
ANALYZE_PARAMETERS = ("minimumCauses", "maximumCauses")
COLUMN_PARAMETERS = ("textColumn", "idColumn")


def _only_with(types: tuple[str, ...], field: str, advice: str) -> Rule:
    known = ", ".join(f"'{each}'" for each in types)
    path, _, name = field.rpartition(".")
    there = f"has(self.{path}) && has(self.{field})" if path else f"has(self.{name})"
    return Rule(
        f"!({there}) || self.type in [{known}]",
        f"spec.{field} is for jobs of type {' or '.join(types)} only; {advice}",
        f".{field}",
    )


def _parameters(types: tuple[str, ...], names: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(_only_with(types, f"parameters.{name}", "leave it out") for name in names)


def _unchanged(name: str) -> Rule:
    return Rule(
        f"has(self.{name}) == has(oldSelf.{name}) "
        f"&& (!has(self.{name}) || self.{name} == oldSelf.{name})",
        f"spec.{name} cannot be changed once the job is made; make another AIJob",
        f".{name}",
    )


class AIJobSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be done. All but suspend, cancel and ttlSecondsAfterFinished is for good."""

    type: Annotated[
        JobType,
        word(
            "Chat answers the input, from documents where there are some; Analyze finds the root "
            "causes in documents; Embed makes vectors of documents; Batch runs independent "
            "requests; Pipeline runs a graph of tasks.",
            lower_case("type"),
        ),
    ]
    tenant_name: Annotated[
        str,
        text(
            "The tenant that the job belongs to: the one that the namespace works for.",
            63,
            shortest=1,
            pattern=NAME,
            rest=in_rest("tenant"),
        ),
    ] = "default"
    input: (
        Annotated[
            str,
            text(
                "What to answer or to look for. Chat and Analyze need it.",
                32_768,
                shortest=1,
                pattern=NOT_BLANK,
                rest=in_rest("input"),
            ),
        ]
        | None
    ) = None
    documents_from: (
        Annotated[
            DocumentsSource,
            part("The documents. Analyze and Embed need them, Chat may have them."),
        ]
        | None
    ) = None
    requests_from: (
        Annotated[
            WorkSource,
            part("The requests of a Batch, as POST /v1/jobs takes them in requests."),
        ]
        | None
    ) = None
    tasks_from: (
        Annotated[
            WorkSource, part("The tasks of a Pipeline, as POST /v1/jobs takes them in tasks.")
        ]
        | None
    ) = None
    policy_name: Annotated[
        str,
        text(
            "The policy, by its name in the fabric, which is that of an ExecutionPolicy.",
            63,
            shortest=1,
            pattern=POLICY_NAME,
            rest=in_rest("policy"),
        ),
    ] = "enterprise-default"
    priority: Annotated[
        Priority,
        word(
            "Who comes first where agents are scarce: Interactive, then Standard, then Batch.",
            lower_case("priority"),
        ),
    ] = "Standard"
    model: (
        Annotated[
            str,
            text(
                "The model to use instead of the policy's.", 200, shortest=1, rest=in_rest("model")
            ),
        ]
        | None
    ) = None
    parameters: Annotated[Parameters, part("Settings that the job's type knows.")] | None = None
    budget: (
        Annotated[JobBudget, part("What the job may spend; the policy's limit where left out.")]
        | None
    ) = None
    parallelism: (
        Annotated[
            int,
            number("Most tasks that run at once.", 1, 1_000_000, in_rest("max_parallelism")),
        ]
        | None
    ) = None
    max_attempts: (
        Annotated[
            int,
            number("Attempts before a task is a dead letter.", 1, 100, in_rest("max_attempts")),
        ]
        | None
    ) = None
    max_failed_percent: (
        Annotated[
            int,
            number(
                "Share of the tasks that may fail, in percent, before the job fails.",
                0,
                100,
                in_rest("max_failed_percent"),
            ),
        ]
        | None
    ) = None
    deadline_seconds: (
        Annotated[
            int,
            number(
                "Seconds from submission after which the job fails.",
                1,
                31_536_000,
                in_rest("deadline_seconds"),
            ),
        ]
        | None
    ) = None
    plan_hash: (
        Annotated[
            str,
            text(
                "Hash of the plan that a dry run showed; the job is refused if it became another.",
                64,
                pattern="^[0-9a-f]{64}$",
                rest=in_rest("plan_hash"),
            ),
        ]
        | None
    ) = None
    labels: (
        Annotated[
            dict[str, Annotated[str, text("The label's value.", 255)]],
            mapping("Labels of the job in the fabric, to find it by.", 60, in_rest("labels")),
        ]
        | None
    ) = None
    suspend: Annotated[
        bool, flag("Start no more tasks while this is true; running ones finish.")
    ] = False
    cancel: Annotated[bool, flag("End the job. Once true it stays true.")] = False
    ttl_seconds_after_finished: (
        Annotated[
            int,
            number(
                "Seconds after its end when the AIJob is deleted; never where left out. The fabric "
                "keeps its job.",
                0,
                31_536_000,
            ),
        ]
        | None
    ) = None

    rules: ClassVar = (
        Rule(
            "!(self.type in ['Chat', 'Analyze']) || has(self.input)",
            "spec.input is needed by jobs of type Chat and Analyze: what to answer or to look for",
            ".input",
        ),
        Rule(
            "!(self.type in ['Analyze', 'Embed']) || has(self.documentsFrom)",
            "spec.documentsFrom is needed by jobs of type Analyze and Embed",
            ".documentsFrom",
        ),
        Rule(
            "self.type != 'Batch' || has(self.requestsFrom)",
            "spec.requestsFrom is needed by jobs of type Batch",
            ".requestsFrom",
        ),
        Rule(
            "self.type != 'Pipeline' || has(self.tasksFrom)",
            "spec.tasksFrom is needed by jobs of type Pipeline",
            ".tasksFrom",
        ),
        _only_with(("Chat", "Analyze", "Embed"), "documentsFrom", "leave it out"),
        _only_with(("Batch",), "requestsFrom", "leave it out"),
        _only_with(("Pipeline",), "tasksFrom", "leave it out"),
        *_parameters(("Chat",), CHAT_PARAMETERS),
        *_parameters(("Analyze",), ANALYZE_PARAMETERS),
        *_parameters(("Chat", "Analyze", "Embed"), COLUMN_PARAMETERS),
        Rule(
            "!has(self.parameters) || !has(self.parameters.minimumCauses) "
            "|| !has(self.parameters.maximumCauses) "
            "|| self.parameters.minimumCauses <= self.parameters.maximumCauses",
            "spec.parameters.minimumCauses must not be more than maximumCauses",
            ".parameters.minimumCauses",
        ),
        Rule(
            "!(self.suspend && self.cancel)",
            "spec.suspend must be false where spec.cancel is true: a cancelled job ends",
            ".suspend",
        ),
        Rule(
            "!oldSelf.cancel || self.cancel",
            "spec.cancel cannot be taken back; make another AIJob",
            ".cancel",
        ),
        *(
            _unchanged(name)
            for name in (
                *("type", "tenantName", "input", "documentsFrom", "requestsFrom", "tasksFrom"),
                *("policyName", "priority", "model", "parameters", "budget", "parallelism"),
                *("maxAttempts", "maxFailedPercent", "deadlineSeconds", "planHash", "labels"),
            )
        ),
    )
