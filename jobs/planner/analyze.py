"""``analyze``: embed the documents, cluster them, label each cluster, report with evidence."""

from jobs.errors import InvalidRequest
from jobs.planner import documents
from jobs.planner.draft import Draft
from jobs.planner.job_parameters import MOST_CAUSES

MOST_IN_CHUNK = 50
MOST_CHARACTERS = 200_000


def plan(draft: Draft) -> None:
    """Add the four stages."""
    if not draft.documents:
        raise InvalidRequest.field(
            "documents", "analyze needs documents, or a file_id that holds them"
        )
    if not (draft.request.input or "").strip():
        raise InvalidRequest.field("input", "analyze needs the question to answer")
    chat = draft.model(draft.request.model, draft.policy.chat_model)
    chunks = add_embeds(draft)
    parameters = {**_bounds(draft), "input": draft.request.input, "label_model": chat}
    stage = draft.stage("cluster")
    cluster = draft.add(
        "cluster", "cluster", stage=stage, parameters=parameters, collects=tuple(chunks)
    )
    draft.stage("label", most_spawned=MOST_CAUSES)
    draft.models.add(chat)
    stage = draft.stage("report")
    draft.add(
        "report",
        "report",
        stage=stage,
        parameters={"input": draft.request.input},
        collects=(cluster,),
    )


def add_embeds(draft: Draft, asked: str | None = None) -> list[int]:
    """One ``embed`` task per chunk of documents, by the model asked for or the policy's."""
    model = draft.model(asked, draft.policy.embedding_model)
    stage = draft.stage("embed")
    groups = documents.in_groups(draft.documents, most=MOST_IN_CHUNK, characters=MOST_CHARACTERS)
    return [
        draft.add(
            f"embed-{number}", "embed", stage=stage, value=documents.as_input(group), model=model
        )
        for number, group in enumerate(groups, 1)
    ]


def _bounds(draft: Draft) -> dict[str, int]:
    """How many causes the user lets the program look for."""
    given = draft.request.parameters
    bounds = {name: given[name] for name in ("minimum", "maximum") if given.get(name) is not None}
    if bounds.get("minimum", 1) > bounds.get("maximum", MOST_CAUSES):
        raise InvalidRequest.field("parameters.minimum", "must not be more than maximum")
    return bounds
