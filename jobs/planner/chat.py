"""``chat``: one answer; with documents each group is asked, and the answers are reduced to one."""

from typing import Any

from jobs.errors import InvalidRequest
from jobs.planner import documents
from jobs.planner.draft import Draft

GROUP_TOKENS = 150
"""Document text a map task reads: the embedded model takes a second for a hundred tokens."""

CHARACTERS_PER_TOKEN = 4
FAN_IN = 8
PASSED_ON = ("max_tokens", "temperature", "system")


def plan(draft: Draft) -> None:
    """Add the answer, or map, reduce and answer."""
    question = draft.request.input or ""
    if not question.strip():
        raise InvalidRequest.field("input", "chat needs an input: what to ask")
    model = draft.model(draft.request.model, draft.policy.chat_model)
    given = draft.request.parameters
    parameters = {name: given[name] for name in PASSED_ON if name in given}
    if draft.documents:
        _plan_map_reduce(draft, question, model, parameters)
        return
    stage = draft.stage("answer")
    value = {"prompt": question}
    draft.add("answer", "chat", stage=stage, value=value, parameters=parameters, model=model)


def _plan_map_reduce(draft: Draft, question: str, model: str, parameters: dict[str, Any]) -> None:
    asked = {**parameters, "question": question}
    if tokens := draft.request.parameters.get("group_tokens"):
        asked["group_tokens"] = tokens
    level = _map(draft, asked, model)
    number = 0
    while len(level) > FAN_IN:
        number += 1
        level = _reduce(draft, level, asked, model, number)
    stage = draft.stage("answer")
    final = {**asked, "final": True}
    draft.add("answer", "reduce", stage=stage, parameters=final, model=model, collects=tuple(level))


def _map(draft: Draft, asked: dict[str, Any], model: str) -> list[int]:
    stage = draft.stage("map")
    groups = documents.in_groups(
        draft.documents,
        most=documents_per_group(draft),
        characters=asked.get("group_tokens", GROUP_TOKENS) * CHARACTERS_PER_TOKEN,
    )
    return [
        draft.add(
            f"map-{number}",
            "chat",
            stage=stage,
            value=documents.as_input(group),
            parameters=asked,
            model=model,
        )
        for number, group in enumerate(groups, 1)
    ]


def documents_per_group(draft: Draft) -> int:
    """At most 50, or what ``parameters.group_documents`` asks for."""
    return draft.request.parameters.get("group_documents") or 50


def _reduce(
    draft: Draft, level: list[int], asked: dict[str, Any], model: str, number: int
) -> list[int]:
    stage = draft.stage(f"reduce-{number}")
    return [
        draft.add(
            f"reduce-{number}-{start // FAN_IN + 1}",
            "reduce",
            stage=stage,
            parameters=asked,
            model=model,
            collects=tuple(level[start : start + FAN_IN]),
        )
        for start in range(0, len(level), FAN_IN)
    ]
