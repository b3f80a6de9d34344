"""``batch``: one independent task per request line. ``embed``: one per chunk of documents."""

from typing import Any

from msgspec import UNSET

from jobs.errors import FieldError, InvalidRequest
from jobs.planner.analyze import add_embeds
from jobs.planner.draft import MAX_SLEEP_MILLISECONDS, Draft
from jobs.planner.request import BatchRequest

MAX_ERRORS = 20


def plan(draft: Draft) -> None:
    """Add a task per request, in input order."""
    requests = draft.request.requests
    if not requests:
        raise InvalidRequest.field("requests", "batch needs at least one request")
    _check_ids(requests)
    stage = draft.stage("requests")
    models: dict[tuple[str, str | None], str] = {}
    for number, request in enumerate(requests):
        value = _value(request, number)
        kind, asked = _kind(request, number), asked_model(request.model, request.body)
        if (kind, asked) not in models:
            draft.check_kind(kind, f"requests[{number}].kind")
            models[kind, asked] = draft.kind_model(kind, asked, f"requests[{number}].model")
        if request.parameters:
            check_parameters(kind, request.parameters, f"requests[{number}].parameters")
        draft.add(
            request.custom_id,
            kind,
            stage=stage,
            value=value,
            parameters=request.parameters or None,
            model=models[kind, asked],
        )


def plan_embed(draft: Draft) -> None:
    """Vectors of all documents; each chunk's are an artifact."""
    if not draft.documents:
        raise InvalidRequest.field(
            "documents", "embed needs documents, or a file_id that holds them"
        )
    add_embeds(draft, draft.request.model)


def check_parameters(kind: str, parameters: dict[str, Any], field: str) -> None:
    """Raises InvalidRequest for a parameter whose value the executor would refuse outright."""
    sleep = parameters.get("sleep_ms", 0)
    if kind == "echo" and (
        isinstance(sleep, bool)
        or not isinstance(sleep, int | float)
        or not 0 <= sleep <= MAX_SLEEP_MILLISECONDS
    ):
        raise InvalidRequest.field(
            f"{field}.sleep_ms", f"must be a number from 0 to {MAX_SLEEP_MILLISECONDS}"
        )


def asked_model(model: str | None, body: Any) -> str | None:
    """The model a task names, itself or in its OpenAI body."""
    named = body.get("model") if isinstance(body, dict) else None
    return model or (named if isinstance(named, str) else None)


def _kind(request: BatchRequest, number: int) -> str:
    """An OpenAI body with ``input`` is an embeddings body, with ``messages`` a chat one."""
    body = request.body
    if request.kind != "chat" or not isinstance(body, dict) or "messages" in body:
        return request.kind
    if "input" in body:
        return "embed"
    raise InvalidRequest.field(
        f"requests[{number}].body", "needs messages (a chat body) or input (an embeddings body)"
    )


def _value(request: BatchRequest, number: int) -> Any:
    if (request.input is UNSET) == (request.body is UNSET):
        raise InvalidRequest.field(
            f"requests[{number}]", "needs either input or body, and not both"
        )
    return {"body": request.body} if request.body is not UNSET else request.input


def _check_ids(requests: list[BatchRequest]) -> None:
    seen: dict[str, int] = {}
    wrong = []
    for number, request in enumerate(requests):
        first = seen.setdefault(request.custom_id, number)
        if first != number:
            text = f"{request.custom_id[:100]!r} is the id of requests[{first}] too; ids are unique"
            wrong.append(FieldError(f"requests[{number}].custom_id", text))
            if len(wrong) == MAX_ERRORS:
                break
    if wrong:
        raise InvalidRequest(f"{wrong[0].field}: {wrong[0].message}", fields=wrong)
