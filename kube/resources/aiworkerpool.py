"""``AIWorkerPool``: agents of one pool, as a Deployment."""

from typing import Annotated, ClassVar, Literal

import msgspec

from kube.resources.conditions import OUTSIDE, Condition, ConditionType, ready
from kube.resources.fields import Rule, in_rest, items, mapping, moment, number, part, text, word
from kube.resources.references import OBJECT_NAME, KeyReference

MOST_REPLICAS = 10_000
QUANTITY = r"^[0-9]+(\.[0-9]+)?([mkMGT]|[KMGT]i)?$"
"""The quantities that Kubernetes writes; whole numbers are strings here too."""

LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A certificate that agents show to the control plane."""

    secret_name: Annotated[
        str,
        text(
            "A Secret of type kubernetes.io/tls in the pool's namespace.",
            253,
            shortest=1,
            pattern=OBJECT_NAME,
        ),
    ]


class ModelKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key for a model endpoint."""

    name: Annotated[
        str,
        text(
            "Agents get the key as DAEF_MODEL_KEY_<name>: keyName of a ModelEndpoint in capitals, "
            "with _ for what is neither letter nor digit.",
            63,
            shortest=1,
            pattern=r"^[A-Z0-9_]+$",
        ),
    ]
    secret_key_ref: Annotated[KeyReference, part("Where the key is: never in the resource.")]


class WaitBounds(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How long work of each priority may wait before it gets one claimed slot in ten."""

    interactive_seconds: Annotated[
        int,
        number(
            "Seconds for Interactive work.", 1, 31_536_000, in_rest("interactive_bound_seconds")
        ),
    ] = 30
    standard_seconds: Annotated[
        int, number("Seconds for Standard work.", 1, 31_536_000, in_rest("standard_bound_seconds"))
    ] = 600
    batch_seconds: Annotated[
        int, number("Seconds for Batch work.", 1, 31_536_000, in_rest("batch_bound_seconds"))
    ] = 21_600


class Autoscaling(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the operator chooses spec.replicas; leave it out to choose yourself, or by an HPA."""

    rules: ClassVar = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "spec.autoscaling.minReplicas must not be more than maxReplicas",
            ".minReplicas",
        ),
    )

    min_replicas: Annotated[int, number("Fewest agents.", 0, MOST_REPLICAS)] = 1
    max_replicas: Annotated[int, number("Most agents.", 1, MOST_REPLICAS)]
    tasks_per_replica: (
        Annotated[
            int,
            number(
                "Tasks, queued and running, that one agent is to have; spec.slots where left out.",
                1,
                1_000_000,
            ),
        ]
        | None
    ) = None
    scale_down_stabilization_seconds: Annotated[
        int,
        number(
            "Seconds for which fewer agents must have been enough before some are taken away.",
            0,
            86_400,
        ),
    ] = 300


class Resources(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the agent's container asks for and may use."""

    requests: (
        Annotated[
            dict[str, Annotated[str, text("A quantity.", 32, pattern=QUANTITY)]],
            mapping("What is set aside: cpu, memory, ephemeral-storage, nvidia.com/gpu.", 8),
        ]
        | None
    ) = None
    limits: (
        Annotated[
            dict[str, Annotated[str, text("A quantity.", 32, pattern=QUANTITY)]],
            mapping("What it may use at most.", 8),
        ]
        | None
    ) = None


class Toleration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A taint of nodes that agents do not mind, as pods write it."""

    rules: ClassVar = (
        Rule(
            "self.operator != 'Exists' || !has(self.value)",
            "tolerations: value must be left out where operator is Exists",
            ".value",
        ),
        Rule(
            "self.operator != 'Equal' || has(self.key)",
            "tolerations: key is needed where operator is Equal",
            ".key",
        ),
    )

    key: Annotated[str, text("The taint's key; every one where left out.", 253)] | None = None
    operator: Annotated[
        Literal["Equal", "Exists"], word("Whether the value counts (Equal) or not (Exists).")
    ] = "Equal"
    value: Annotated[str, text("The taint's value.", 63)] | None = None
    effect: (
        Annotated[
            Literal["NoSchedule", "PreferNoSchedule", "NoExecute"],
            word("The taint's effect; every one where left out."),
        ]
        | None
    ) = None


class AIWorkerPoolSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The pool of the resource's name, and its agents."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    replicas: Annotated[
        int,
        number(
            "Agents that are to run; written by the operator where spec.autoscaling is given.",
            0,
            MOST_REPLICAS,
        ),
    ] = 1
    slots: Annotated[int, number("Tasks that one agent runs at once (DAEF_SLOTS).", 1, 1_024)] = 2
    autoscaling: (
        Annotated[
            Autoscaling,
            part("How the operator chooses spec.replicas; leave it out to choose it otherwise."),
        ]
        | None
    ) = None
    max_running_tasks: (
        Annotated[
            int,
            number(
                "Most tasks of the pool that run at once, on all agents together.",
                1,
                1_000_000,
                in_rest("max_running_tasks"),
            ),
        ]
        | None
    ) = None
    wait_bounds: Annotated[
        WaitBounds, part("How long work of each priority may wait before it is favoured.")
    ] = WaitBounds()
    drain_seconds: Annotated[
        int,
        number("Seconds an agent that has to go may take to finish its running tasks.", 0, 3_600),
    ] = 120
    image: (
        Annotated[
            str,
            text("The agents' image; the operator's setting DAEF_AGENT_IMAGE where left out.", 500),
        ]
        | None
    ) = None
    token_secret_ref: Annotated[
        KeyReference,
        part("The agents' token, with the scope worker, in the pool's namespace."),
    ] = KeyReference(name="daef-agent-token", key="token")
    authority_config_map_ref: Annotated[
        KeyReference,
        part("The certificate authority of the control plane, in the pool's namespace."),
    ] = KeyReference(name="daef-grpc-ca", key="ca.crt")
    client_certificate: (
        Annotated[
            ClientCertificate,
            part("A certificate that agents show to the control plane, where it asks for one."),
        ]
        | None
    ) = None
    model_keys: Annotated[
        list[ModelKey], items("Keys for model endpoints.", 32, kind="map", key="name")
    ] = []
    resources: (
        Annotated[Resources, part("What the agent's container asks for and may use.")] | None
    ) = None
    node_selector: (
        Annotated[
            dict[str, Annotated[str, text("The label's value.", 63, pattern=LABEL_VALUE)]],
            mapping("Labels of the nodes that agents run on.", 16),
        ]
        | None
    ) = None
    tolerations: Annotated[
        list[Toleration], items("Taints of nodes that agents do not mind.", 16)
    ] = []


class AIWorkerPoolStatus(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    """What the Deployment and the fabric's fleet say."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    observed_generation: Annotated[
        int, number("The generation of the spec that the operator acted upon.", 0, 2**53)
    ] = 0
    replicas: Annotated[int, number("Pods there are.", 0, 2**31 - 1)] = 0
    ready_replicas: Annotated[int, number("Pods that are ready.", 0, 2**31 - 1)] = 0
    draining_replicas: Annotated[
        int, number("Agents that finish their tasks and take no more.", 0, 2**31 - 1)
    ] = 0
    slots: Annotated[int, number("Slots of the agents that are alive.", 0, 2**31 - 1)] = 0
    busy_slots: Annotated[int, number("Slots that run a task.", 0, 2**31 - 1)] = 0
    queued_tasks: Annotated[int, number("Tasks that wait for an agent.", 0, 2**31 - 1)] = 0
    selector: Annotated[str, text("The pods' labels, for the scale subresource.", 512)] = ""
    last_scale_time: Annotated[str, moment("When the operator last scaled.")] | None = None
    conditions: Annotated[
        list[Condition], items("What holds of the pool.", 8, kind="map", key="type")
    ] = []


POOL_CONDITIONS = (
    ready(
        "The fabric has the pool's limits, and as many agents as asked for are ready.",
        AgentsReady="As many agents as asked for are ready.",
        AgentsMissing="Fewer agents are ready than asked for.",
    ),
    ConditionType(
        "Progressing",
        "The Deployment is rolling out or scaling.",
        {
            "RollingOut": "Pods are being replaced, started or stopped.",
            "RolledOut": "Every pod is as the spec says.",
            "DeadlineExceeded": "The Deployment makes no progress; look at its pods.",
        },
    ),
    ConditionType(
        "ScalingLimited",
        "The work asks for more or fewer agents than the bounds allow.",
        {
            "TooFewReplicas": "minReplicas is more than the work needs.",
            "TooManyReplicas": "maxReplicas is less than the work needs.",
            "WithinBounds": "The bounds do not matter now.",
            "NotAutoscaled": "spec.autoscaling is left out.",
            **OUTSIDE,
        },
    ),
)
