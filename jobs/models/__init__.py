"""The tables. ``task`` is the truth, ``ready`` the queue, ``lease`` the right to settle.

Each table follows its write pattern (see ``docs/architecture/storage.md``): the queue is only
inserted into and deleted from, attempts and events are written once, counters live apart from
what they count. Nothing here has behaviour; ``jobs/transitions.py`` is the only writer.
"""

from jobs.models.artifact import Artifact, ArtifactChunk, File
from jobs.models.attempt import Attempt, TaskLog, UsageEntry
from jobs.models.event import JobEvent
from jobs.models.figures import Figure, MinuteLoad, MinuteStats, Tally
from jobs.models.job import (
    Budget,
    IdempotencyRecord,
    Job,
    JobStage,
    RecordedAnswer,
    RequeueWindow,
)
from jobs.models.policy import ModelEndpoint, Policy, PolicyRevision
from jobs.models.pool import Capability, Pool, ServedTime
from jobs.models.store import StoreIdentity
from jobs.models.task import DeadLetter, Delayed, Edge, Lease, Ready, Task, TaskInput
from jobs.models.worker import Worker

__all__ = [
    "Artifact",
    "ArtifactChunk",
    "Attempt",
    "Budget",
    "Capability",
    "DeadLetter",
    "Delayed",
    "Edge",
    "Figure",
    "File",
    "IdempotencyRecord",
    "Job",
    "JobEvent",
    "JobStage",
    "Lease",
    "MinuteLoad",
    "MinuteStats",
    "ModelEndpoint",
    "Policy",
    "PolicyRevision",
    "Pool",
    "Ready",
    "RecordedAnswer",
    "RequeueWindow",
    "ServedTime",
    "StoreIdentity",
    "Tally",
    "Task",
    "TaskInput",
    "TaskLog",
    "UsageEntry",
    "Worker",
]
