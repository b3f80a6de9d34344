import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OutcomeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_KIND_UNSPECIFIED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_SUCCEEDED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_FAILED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_RELEASED: _ClassVar[OutcomeKind]

class ErrorClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CLASS_UNSPECIFIED: _ClassVar[ErrorClass]
    ERROR_CLASS_TRANSIENT: _ClassVar[ErrorClass]
    ERROR_CLASS_RATE_LIMITED: _ClassVar[ErrorClass]
    ERROR_CLASS_OVERLOADED: _ClassVar[ErrorClass]
    ERROR_CLASS_INVALID_INPUT: _ClassVar[ErrorClass]
    ERROR_CLASS_PERMANENT: _ClassVar[ErrorClass]
    ERROR_CLASS_BUDGET_EXCEEDED: _ClassVar[ErrorClass]
    ERROR_CLASS_WORKER_LOST: _ClassVar[ErrorClass]
    ERROR_CLASS_TIMEOUT: _ClassVar[ErrorClass]

class SettleStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SETTLE_STATUS_UNSPECIFIED: _ClassVar[SettleStatus]
    SETTLE_STATUS_APPLIED: _ClassVar[SettleStatus]
    SETTLE_STATUS_REPEATED: _ClassVar[SettleStatus]
    SETTLE_STATUS_FENCED: _ClassVar[SettleStatus]
    SETTLE_STATUS_REJECTED: _ClassVar[SettleStatus]
    SETTLE_STATUS_BUSY: _ClassVar[SettleStatus]
OUTCOME_KIND_UNSPECIFIED: OutcomeKind
OUTCOME_KIND_SUCCEEDED: OutcomeKind
OUTCOME_KIND_FAILED: OutcomeKind
OUTCOME_KIND_RELEASED: OutcomeKind
ERROR_CLASS_UNSPECIFIED: ErrorClass
ERROR_CLASS_TRANSIENT: ErrorClass
ERROR_CLASS_RATE_LIMITED: ErrorClass
ERROR_CLASS_OVERLOADED: ErrorClass
ERROR_CLASS_INVALID_INPUT: ErrorClass
ERROR_CLASS_PERMANENT: ErrorClass
ERROR_CLASS_BUDGET_EXCEEDED: ErrorClass
ERROR_CLASS_WORKER_LOST: ErrorClass
ERROR_CLASS_TIMEOUT: ErrorClass
SETTLE_STATUS_UNSPECIFIED: SettleStatus
SETTLE_STATUS_APPLIED: SettleStatus
SETTLE_STATUS_REPEATED: SettleStatus
SETTLE_STATUS_FENCED: SettleStatus
SETTLE_STATUS_REJECTED: SettleStatus
SETTLE_STATUS_BUSY: SettleStatus

class TaskLease(_message.Message):
    __slots__ = ("task_id", "lease_epoch")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    task_id: int
    lease_epoch: int
    def __init__(self, task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ...) -> None: ...

class RegisterRequest(_message.Message):
    __slots__ = ("incarnation", "name", "node", "pool", "slots", "kinds", "models", "version")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    incarnation: str
    name: str
    node: str
    pool: str
    slots: int
    kinds: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    version: str
    def __init__(self, incarnation: _Optional[str] = ..., name: _Optional[str] = ..., node: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., kinds: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., version: _Optional[str] = ...) -> None: ...

class RegisterResponse(_message.Message):
    __slots__ = ("worker_id", "lease_seconds", "heartbeat_seconds", "queue_url", "queue_name", "endpoints")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_URL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_NAME_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    lease_seconds: float
    heartbeat_seconds: float
    queue_url: str
    queue_name: str
    endpoints: _containers.RepeatedCompositeFieldContainer[ModelEndpoint]
    def __init__(self, worker_id: _Optional[int] = ..., lease_seconds: _Optional[float] = ..., heartbeat_seconds: _Optional[float] = ..., queue_url: _Optional[str] = ..., queue_name: _Optional[str] = ..., endpoints: _Optional[_Iterable[_Union[ModelEndpoint, _Mapping]]] = ...) -> None: ...

class ModelEndpoint(_message.Message):
    __slots__ = ("name", "backend", "base_url", "models", "input_price", "output_price", "key_name", "timeout_seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    INPUT_PRICE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PRICE_FIELD_NUMBER: _ClassVar[int]
    KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    backend: str
    base_url: str
    models: _containers.RepeatedScalarFieldContainer[str]
    input_price: int
    output_price: int
    key_name: str
    timeout_seconds: int
    def __init__(self, name: _Optional[str] = ..., backend: _Optional[str] = ..., base_url: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., input_price: _Optional[int] = ..., output_price: _Optional[int] = ..., key_name: _Optional[str] = ..., timeout_seconds: _Optional[int] = ...) -> None: ...

class ClaimRequest(_message.Message):
    __slots__ = ("worker_id", "want")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    WANT_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    want: int
    def __init__(self, worker_id: _Optional[int] = ..., want: _Optional[int] = ...) -> None: ...

class ClaimResponse(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[ClaimedTask]
    def __init__(self, tasks: _Optional[_Iterable[_Union[ClaimedTask, _Mapping]]] = ...) -> None: ...

class ClaimedTask(_message.Message):
    __slots__ = ("task_id", "lease_epoch", "attempt", "generation", "kind", "name", "input", "has_large_input", "parameters", "model", "has_parents", "start_to_close_seconds", "ceiling_nano_usd", "run_alone", "priority")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    HAS_LARGE_INPUT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HAS_PARENTS_FIELD_NUMBER: _ClassVar[int]
    START_TO_CLOSE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CEILING_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    RUN_ALONE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    task_id: int
    lease_epoch: int
    attempt: int
    generation: int
    kind: str
    name: str
    input: str
    has_large_input: bool
    parameters: str
    model: str
    has_parents: bool
    start_to_close_seconds: float
    ceiling_nano_usd: int
    run_alone: bool
    priority: int
    def __init__(self, task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ..., attempt: _Optional[int] = ..., generation: _Optional[int] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., input: _Optional[str] = ..., has_large_input: _Optional[bool] = ..., parameters: _Optional[str] = ..., model: _Optional[str] = ..., has_parents: _Optional[bool] = ..., start_to_close_seconds: _Optional[float] = ..., ceiling_nano_usd: _Optional[int] = ..., run_alone: _Optional[bool] = ..., priority: _Optional[int] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("worker_id", "held", "free_slots", "tickets_taken")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_FIELD_NUMBER: _ClassVar[int]
    TICKETS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    held: _containers.RepeatedCompositeFieldContainer[TaskLease]
    free_slots: int
    tickets_taken: int
    def __init__(self, worker_id: _Optional[int] = ..., held: _Optional[_Iterable[_Union[TaskLease, _Mapping]]] = ..., free_slots: _Optional[int] = ..., tickets_taken: _Optional[int] = ...) -> None: ...

class HeartbeatResponse(_message.Message):
    __slots__ = ("gone", "drain", "work_waiting")
    GONE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    WORK_WAITING_FIELD_NUMBER: _ClassVar[int]
    gone: _containers.RepeatedCompositeFieldContainer[TaskLease]
    drain: bool
    work_waiting: bool
    def __init__(self, gone: _Optional[_Iterable[_Union[TaskLease, _Mapping]]] = ..., drain: _Optional[bool] = ..., work_waiting: _Optional[bool] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("task_id", "lease_epoch", "kind", "result", "result_sha256", "error_class", "error_code", "error_message", "retry_after_seconds", "usage", "spawned", "started_at")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RESULT_SHA256_FIELD_NUMBER: _ClassVar[int]
    ERROR_CLASS_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SPAWNED_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    task_id: int
    lease_epoch: int
    kind: OutcomeKind
    result: str
    result_sha256: str
    error_class: ErrorClass
    error_code: str
    error_message: str
    retry_after_seconds: float
    usage: _containers.RepeatedCompositeFieldContainer[Usage]
    spawned: _containers.RepeatedCompositeFieldContainer[SpawnedTask]
    started_at: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ..., kind: _Optional[_Union[OutcomeKind, str]] = ..., result: _Optional[str] = ..., result_sha256: _Optional[str] = ..., error_class: _Optional[_Union[ErrorClass, str]] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., retry_after_seconds: _Optional[float] = ..., usage: _Optional[_Iterable[_Union[Usage, _Mapping]]] = ..., spawned: _Optional[_Iterable[_Union[SpawnedTask, _Mapping]]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("call", "endpoint", "model", "input_tokens", "output_tokens", "cost_nano_usd")
    CALL_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    call: int
    endpoint: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    def __init__(self, call: _Optional[int] = ..., endpoint: _Optional[str] = ..., model: _Optional[str] = ..., input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ...) -> None: ...

class SpawnedTask(_message.Message):
    __slots__ = ("name", "kind", "input", "parameters", "model")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    input: str
    parameters: str
    model: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., input: _Optional[str] = ..., parameters: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class SettleRequest(_message.Message):
    __slots__ = ("worker_id", "outcomes", "want")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    WANT_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    want: int
    def __init__(self, worker_id: _Optional[int] = ..., outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., want: _Optional[int] = ...) -> None: ...

class SettleResponse(_message.Message):
    __slots__ = ("results", "tasks")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SettleResult]
    tasks: _containers.RepeatedCompositeFieldContainer[ClaimedTask]
    def __init__(self, results: _Optional[_Iterable[_Union[SettleResult, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[ClaimedTask, _Mapping]]] = ...) -> None: ...

class SettleResult(_message.Message):
    __slots__ = ("task_id", "lease_epoch", "status", "message")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    task_id: int
    lease_epoch: int
    status: SettleStatus
    message: str
    def __init__(self, task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ..., status: _Optional[_Union[SettleStatus, str]] = ..., message: _Optional[str] = ...) -> None: ...

class ReportProgressRequest(_message.Message):
    __slots__ = ("worker_id", "lines")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    def __init__(self, worker_id: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("task_id", "lease_epoch", "text")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    task_id: int
    lease_epoch: int
    text: str
    def __init__(self, task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ReportProgressResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadArtifactRequest(_message.Message):
    __slots__ = ("worker_id", "task_id", "lease_epoch", "artifact")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    task_id: int
    lease_epoch: int
    artifact: str
    def __init__(self, worker_id: _Optional[int] = ..., task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ..., artifact: _Optional[str] = ...) -> None: ...

class ReadArtifactResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class WriteArtifactRequest(_message.Message):
    __slots__ = ("worker_id", "task_id", "lease_epoch", "media_type", "data")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    task_id: int
    lease_epoch: int
    media_type: str
    data: bytes
    def __init__(self, worker_id: _Optional[int] = ..., task_id: _Optional[int] = ..., lease_epoch: _Optional[int] = ..., media_type: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class WriteArtifactResponse(_message.Message):
    __slots__ = ("sha256", "size_bytes")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size_bytes: int
    def __init__(self, sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class DeregisterRequest(_message.Message):
    __slots__ = ("worker_id",)
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    worker_id: int
    def __init__(self, worker_id: _Optional[int] = ...) -> None: ...

class DeregisterResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
