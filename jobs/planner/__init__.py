"""A request becomes a plan. Pure: the same request under the same policy gives the same plan."""

from collections.abc import Sequence

from jobs.errors import InvalidRequest
from jobs.planner import analyze, batch, chat, pipeline
from jobs.planner.documents import check, numbered
from jobs.planner.draft import KINDS, TEST_KINDS, Draft
from jobs.planner.job_parameters import check_job_parameters
from jobs.planner.plan import Plan
from jobs.planner.request import Document, JobRequest
from jobs.policies.policy import EndpointSpec, PolicySpec

PLANNERS = {
    "chat": chat.plan,
    "analyze": analyze.plan,
    "batch": batch.plan,
    "embed": batch.plan_embed,
    "pipeline": pipeline.plan,
}

TAKES = {
    "chat": ("documents", "file_id"),
    "analyze": ("documents", "file_id"),
    "embed": ("documents", "file_id"),
    "batch": ("requests",),
    "pipeline": ("tasks",),
}
"""Which of the fields that carry work each type reads; another one would be silently lost."""


def plan_job(
    request: JobRequest,
    *,
    policy: PolicySpec,
    endpoints: Sequence[EndpointSpec],
    documents: Sequence[Document] = (),
    test_kinds: bool = False,
) -> Plan:
    """Plan a request with its documents.

    ``documents`` are those of the request's ``file_id``; those in the request itself are used
    otherwise. Raises PlanRefused, PolicyDenied or InvalidRequest, each naming field and remedy.
    """
    _check_fields(request)
    given = documents or numbered(request.documents or ())
    check(given, most=policy.max_documents)
    kinds = KINDS | TEST_KINDS if test_kinds else KINDS
    draft = Draft(request, policy, endpoints, given, kinds)
    PLANNERS[request.type](draft)
    return draft.finish()


def _check_fields(request: JobRequest) -> None:
    for field in ("documents", "file_id", "requests", "tasks"):
        if getattr(request, field) is not None and field not in TAKES[request.type]:
            wanted = " or ".join(TAKES[request.type])
            raise InvalidRequest.field(
                field, f"jobs of type {request.type!r} do not use it; they take {wanted}"
            )
    check_job_parameters(request.type, request.parameters)
    if request.documents is not None and request.file_id is not None:
        raise InvalidRequest.field("file_id", "send either documents or a file_id, not both")
