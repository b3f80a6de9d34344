"""Executor ``chat``: one answer of a chat model.

Input: a string, ``{"prompt"}``, ``{"messages"}``, ``{"documents": [{"id", "text"}]}`` with the
parameter ``question``, or ``{"body"}``, an OpenAI chat completions request. Parameters:
``max_tokens`` (default 128), ``temperature`` (default 0), ``system``. Result ``{"text", "model",
"finish_reason", "usage": {"input_tokens", "output_tokens"}}``, besides ``document_ids`` (and
``shortened``, the ids of those that did not fit the embedded model) when documents were given,
and OpenAI's answer as ``body`` for a body. ``usage.estimated`` is there,
and true, when the endpoint did not count.
"""

import time
from typing import Any

from workeragent.executors.chat.messages import read_request, shortened_documents
from workeragent.executors.context import TaskContext
from workeragent.executors.parameters import documents
from workeragent.models.answers import ChatAnswer
from workeragent.models.registry import CHAT_MODEL
from workeragent.outcome import Result

EMBEDDED_DOCUMENT_TOKENS = 1400
"""What of the embedded model's 2,048 tokens is left for documents beside question and answer."""


def run(context: TaskContext) -> Result:
    """Ask the model once."""
    task = context.task
    given, facts = _fitted(task.input, task.model)
    request = read_request(given, task.parameters)
    answer = context.models.chat(
        request.messages,
        model=task.model or request.model or CHAT_MODEL,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        options=request.options,
    )
    value = {**answer_fields(answer), **facts}
    if isinstance(given, dict) and "body" in given:
        value["body"] = _openai_body(answer, task.id, int(time.time()))
    return Result(value)


def _fitted(value: Any, model: str) -> tuple[Any, dict[str, Any]]:
    """The input with documents that fit the model, and the result's facts about them."""
    if not isinstance(value, dict) or "documents" not in value:
        return value, {}
    given = documents(value)
    facts: dict[str, Any] = {"document_ids": [document["id"] for document in given]}
    if model not in ("", CHAT_MODEL):
        return value, facts
    fitting, facts["shortened"] = shortened_documents(given, EMBEDDED_DOCUMENT_TOKENS)
    return {"documents": fitting}, facts


def answer_fields(answer: ChatAnswer) -> dict[str, Any]:
    """The fields every result of a chat call has."""
    usage: dict[str, Any] = {
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
    }
    if not answer.counted:
        usage["estimated"] = True
    return {
        "text": answer.text,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": usage,
    }


def _openai_body(answer: ChatAnswer, task_id: int, created: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    return {
        "id": f"chatcmpl-{task_id}",
        "object": "chat.completion",
        "created": created,
        "model": answer.model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }
