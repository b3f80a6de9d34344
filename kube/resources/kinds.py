"""The five kinds: their names, scopes, columns and types."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from kube.resources.aijob import AIJobSpec
from kube.resources.aijob_status import JOB_CONDITIONS, AIJobStatus
from kube.resources.aiworkerpool import POOL_CONDITIONS, AIWorkerPoolSpec, AIWorkerPoolStatus
from kube.resources.conditions import ConditionType
from kube.resources.executionpolicy import (
    POLICY_CONDITIONS,
    ExecutionPolicySpec,
    ExecutionPolicyStatus,
)
from kube.resources.fields import Rule
from kube.resources.modelendpoint import ENDPOINT_CONDITIONS, DeclaredStatus, ModelEndpointSpec
from kube.resources.tenantquota import QUOTA_CONDITIONS, TenantQuotaSpec

GROUP = "daef.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
TENANT_LABEL = "daef.io/tenant"
"""The label of a Namespace that names the tenant it works for."""


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``; ``wide`` ones show with ``-o wide``."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True)
class Scale:
    """Where the scale subresource reads and writes."""

    replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: str = ".status.selector"


@dataclass(frozen=True)
class Kind:
    """A kind of resource."""

    name: str
    plural: str
    short: str
    namespaced: bool
    description: str
    spec: type[msgspec.Struct]
    status: type[msgspec.Struct]
    conditions: Sequence[ConditionType]
    columns: Sequence[Column]
    selectable: Sequence[str] = ()
    rules: Sequence[Rule] = ()
    """Rules on the whole object; they may look at its name."""

    scale: Scale | None = None
    spec_required: bool = True
    collection: str = ""
    """``/v1/admin/<collection>`` has the fabric's objects of the same names; none for jobs."""

    categories: Sequence[str] = field(default=("all", "daef"))

    @property
    def crd_name(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


def _condition(
    name: str, part: str, column: str, description: str, *, wide: bool = False
) -> Column:
    path = f".status.conditions[?(@.type=='{name}')].{part}"
    return Column(column, path, description, wide=wide)


AGE = Column("Age", ".metadata.creationTimestamp", "When it was made.", "date")
READY = _condition("Ready", "status", "Ready", "Whether the fabric has it as the spec says.")
WHY = _condition("Ready", "reason", "Reason", "Why it is ready or not.")
MESSAGE = _condition("Ready", "message", "Message", "The same for people.", wide=True)


def _short_name(what: str) -> tuple[Rule, ...]:
    return (
        Rule(
            "size(self.metadata.name) <= 63",
            f"metadata.name must have at most 63 characters: it is {what}'s name in the fabric",
            ".metadata.name",
        ),
    )


def _label_name(what: str) -> tuple[Rule, ...]:
    return (
        *_short_name(what),
        Rule(
            "!self.metadata.name.contains('.')",
            f"metadata.name must have no dots: it is {what}'s name in the fabric",
            ".metadata.name",
        ),
    )


AI_JOB = Kind(
    name="AIJob",
    plural="aijobs",
    short="aij",
    namespaced=True,
    description="One job of the fabric: what is to be done, by which policy, and where it stands.",
    spec=AIJobSpec,
    status=AIJobStatus,
    conditions=JOB_CONDITIONS,
    columns=(
        Column("Type", ".spec.type", "What kind of work it is."),
        Column("State", ".status.state", "Where it is."),
        Column("Reason", ".status.reason", "Why it is there."),
        Column("Tasks", ".status.completions", "Ended tasks of all known ones."),
        Column("Failed", ".status.tasks.deadLettered", "Tasks that were given up.", "integer"),
        Column("USD", ".status.costUSD", "What it cost so far, in US dollars."),
        AGE,
        Column("Priority", ".spec.priority", "Who comes first.", wide=True),
        Column("Policy", ".status.policy", "The policy's revision.", wide=True),
        Column("Job", ".status.jobName", "The job in the fabric.", wide=True),
        Column("Message", ".status.message", "Why it is there, for people.", wide=True),
    ),
    selectable=(".spec.tenantName", ".spec.type", ".spec.priority", ".spec.policyName"),
)
AI_WORKER_POOL = Kind(
    name="AIWorkerPool",
    plural="aiworkerpools",
    short="aiwp",
    namespaced=True,
    description="Agents of one pool, and the pool's limits in the fabric.",
    spec=AIWorkerPoolSpec,
    status=AIWorkerPoolStatus,
    conditions=POOL_CONDITIONS,
    columns=(
        Column("Desired", ".spec.replicas", "Agents that are to run.", "integer"),
        Column("Agents", ".status.readyReplicas", "Agents that are ready.", "integer"),
        Column("Draining", ".status.drainingReplicas", "Agents about to go.", "integer"),
        Column("Slots", ".status.slots", "Slots of the agents.", "integer"),
        Column("Busy", ".status.busySlots", "Slots that run a task.", "integer"),
        Column("Queued", ".status.queuedTasks", "Tasks that wait.", "integer"),
        READY,
        AGE,
        _condition("Ready", "reason", "Reason", "Why it is ready or not.", wide=True),
        Column("Min", ".spec.autoscaling.minReplicas", "Fewest agents.", "integer", wide=True),
        Column("Max", ".spec.autoscaling.maxReplicas", "Most agents.", "integer", wide=True),
        Column("Last-Scaled", ".status.lastScaleTime", "When it last scaled.", "date", wide=True),
    ),
    rules=_label_name("the pool"),
    scale=Scale(),
    spec_required=False,
    collection="pools",
)
MODEL_ENDPOINT = Kind(
    name="ModelEndpoint",
    plural="modelendpoints",
    short="mep",
    namespaced=True,
    description="Where models answer, and for what price.",
    spec=ModelEndpointSpec,
    status=DeclaredStatus,
    conditions=ENDPOINT_CONDITIONS,
    columns=(
        Column("Backend", ".spec.backend", "How models are called."),
        Column("Models", ".spec.models", "The models that answer there."),
        Column("Location", ".spec.location", "Where data goes."),
        Column("Enabled", ".spec.enabled", "Whether plans may use it.", "boolean"),
        READY,
        WHY,
        AGE,
        Column("URL", ".spec.url", "Where it is.", wide=True),
        Column(
            "Input-Price",
            ".spec.price.inputMicrosPerMillionTokens",
            "Millionths of a US dollar for a million tokens read.",
            "integer",
            wide=True,
        ),
        Column(
            "Output-Price",
            ".spec.price.outputMicrosPerMillionTokens",
            "Millionths of a US dollar for a million tokens written.",
            "integer",
            wide=True,
        ),
        MESSAGE,
    ),
    selectable=(".spec.backend", ".spec.location"),
    rules=_short_name("the endpoint"),
    collection="endpoints",
)
EXECUTION_POLICY = Kind(
    name="ExecutionPolicy",
    plural="executionpolicies",
    short="xpol",
    namespaced=False,
    description="What jobs may use and spend.",
    spec=ExecutionPolicySpec,
    status=ExecutionPolicyStatus,
    conditions=POLICY_CONDITIONS,
    columns=(
        Column("Revision", ".status.revision", "The revision in the fabric.", "integer"),
        Column("Pool", ".spec.pool", "The pool whose agents run the jobs."),
        Column("Limit-Micros", ".spec.limitMicros", "Most that a job may cost.", "integer"),
        READY,
        WHY,
        AGE,
        Column("Models", ".spec.models", "Models that are allowed.", wide=True),
        Column("Locations", ".spec.locations", "Locations that are allowed.", wide=True),
        MESSAGE,
    ),
    selectable=(".spec.pool",),
    rules=_short_name("the policy"),
    spec_required=False,
    collection="policies",
)
TENANT_QUOTA = Kind(
    name="TenantQuota",
    plural="tenantquotas",
    short="tq",
    namespaced=False,
    description="A tenant's share of the agents, and its limit of running tasks.",
    spec=TenantQuotaSpec,
    status=DeclaredStatus,
    conditions=QUOTA_CONDITIONS,
    columns=(
        Column("Weight", ".spec.weight", "The tenant's share in hundredths.", "integer"),
        Column("Max-Running", ".spec.maxRunningTasks", "Most tasks at once.", "integer"),
        READY,
        WHY,
        AGE,
        MESSAGE,
    ),
    rules=_label_name("the tenant"),
    spec_required=False,
    collection="tenants",
)
KINDS = (AI_JOB, AI_WORKER_POOL, MODEL_ENDPOINT, EXECUTION_POLICY, TENANT_QUOTA)
