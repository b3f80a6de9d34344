"""Executor ``reduce``: many texts to one, by a chat model, in a tree.

Parents' texts (a string, or the field ``text`` of their results) are put into groups that stay
below ``group_tokens`` and each group is answered; the answers are grouped again until one is
left. Parents that failed are skipped and counted. Parameters: ``question`` or ``input`` (what to
answer; default: to summarise), ``group_tokens`` (default 150), ``max_tokens`` (default 96),
``final`` (true for the last step of a job: the result then has ``answer`` as well). Result
``{"text", "model", "finish_reason", "usage", "sources", "skipped", "document_ids"}``.
"""

from dataclasses import dataclass, field
from typing import Any

from workeragent.executors.chat.messages import question_about
from workeragent.executors.context import TaskContext
from workeragent.executors.parameters import text, whole_number
from workeragent.models.answers import ChatAnswer, estimated_tokens
from workeragent.models.registry import CHAT_MODEL
from workeragent.outcome import PermanentError, Result

DEFAULT_QUESTION = "Summarise these notes in two sentences."
DEFAULT_GROUP_TOKENS = 150
DEFAULT_MAX_TOKENS = 96
CHARACTERS_KEPT_PER_TOKEN = 3


@dataclass
class Notes:
    """The parents' texts in task order, the documents behind them, and how many had no text."""

    texts: list[str] = field(default_factory=list)
    document_ids: list[str] = field(default_factory=list)
    skipped: int = 0


def run(context: TaskContext) -> Result:
    """Reduce the parents' texts to one."""
    parameters = context.task.parameters
    notes = _read(context)
    if not notes.texts:
        raise PermanentError("nothing_to_reduce", "No parent of this task has a text.")
    limit = whole_number(
        parameters, "group_tokens", default=DEFAULT_GROUP_TOKENS, least=20, most=100_000
    )
    answer = _reduce(context, notes.texts, limit)
    usage = context.models.usage
    value: dict[str, Any] = {
        "text": answer.text,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": {
            "input_tokens": sum(call.input_tokens for call in usage),
            "output_tokens": sum(call.output_tokens for call in usage),
        },
        "sources": len(notes.texts),
        "skipped": notes.skipped,
        "document_ids": notes.document_ids,
    }
    if parameters.get("final"):
        value["answer"] = answer.text
    return Result(value)


def group_texts(texts: list[str], limit: int) -> list[list[str]]:
    """Neighbouring texts together, each group within ``limit`` estimated tokens.

    A longer text is cut to half the limit, so that any two fit and the tree always narrows.
    """
    groups: list[list[str]] = []
    room = 0
    for each in texts:
        kept = each[: max(1, limit // 2 * CHARACTERS_KEPT_PER_TOKEN - CHARACTERS_KEPT_PER_TOKEN)]
        size = estimated_tokens(kept)
        if not groups or (size > room and len(groups[-1]) > 1):
            groups.append([])
            room = limit
        groups[-1].append(kept)
        room -= size
    return groups


def _reduce(context: TaskContext, texts: list[str], limit: int) -> ChatAnswer:
    while True:
        answers = []
        for group in group_texts(texts, limit):
            context.check()
            answers.append(_ask(context, group))
        if len(answers) == 1:
            return answers[0]
        texts = [answer.text for answer in answers]


def _ask(context: TaskContext, texts: list[str]) -> ChatAnswer:
    parameters = context.task.parameters
    question = text(parameters, "question") or text(parameters, "input") or DEFAULT_QUESTION
    return context.models.chat(
        question_about(question, texts),
        model=context.task.model or CHAT_MODEL,
        max_tokens=whole_number(
            parameters, "max_tokens", default=DEFAULT_MAX_TOKENS, least=1, most=32_768
        ),
    )


def _read(context: TaskContext) -> Notes:
    notes = Notes()
    for parent in context.parents():
        value = context.parent_value(parent) if parent.status == "Succeeded" else None
        said = value.get("text") if isinstance(value, dict) else value
        if not isinstance(said, str) or not said.strip():
            notes.skipped += 1
            continue
        notes.texts.append(said)
        if isinstance(value, dict):
            notes.document_ids += value.get("document_ids") or []
    return notes
