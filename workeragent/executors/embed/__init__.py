"""Executor ``embed``: documents to vectors.

Input ``{"documents": [{"id", "text"}, …]}``; the result ``{"count", "dimensions", "model",
"artifact", "usage"}`` names an artifact in the format of ``embed/vectors.py``. Input ``{"body":
…}``, an OpenAI embeddings request, adds OpenAI's answer as ``body`` instead of an artifact.
"""

import base64
from typing import Any

from workeragent.executors.context import TaskContext
from workeragent.executors.embed import vectors as archive
from workeragent.executors.parameters import documents, invalid
from workeragent.models.answers import EmbeddingAnswer, Vectors
from workeragent.models.registry import EMBEDDING_MODEL
from workeragent.outcome import Result

MOST_BODY_TEXTS = 2048
"""Most texts in one request, as OpenAI's reference has it."""

_BODY_FIELDS = {"model", "input", "encoding_format", "user"}


def run(context: TaskContext) -> Result:
    """Embed the task's documents or OpenAI body."""
    value = context.task.input
    if isinstance(value, dict) and "body" in value:
        return _answer_body(context, value["body"])
    found = documents(value)
    answer = _embed(context, [document["text"] for document in found], EMBEDDING_MODEL)
    context.check()
    stored = context.write_artifact(archive.pack(found, answer.vectors), archive.MEDIA_TYPE)
    return Result({**_summary(answer), "artifact": stored})


def _embed(context: TaskContext, texts: list[str], default_model: str) -> EmbeddingAnswer:
    return context.models.embed(texts, model=context.task.model or default_model)


def _summary(answer: EmbeddingAnswer) -> dict[str, Any]:
    count, dimensions = answer.vectors.shape
    usage = {"input_tokens": answer.input_tokens, "output_tokens": 0}
    if not answer.counted:
        usage["estimated"] = True
    return {"count": count, "dimensions": dimensions, "model": answer.model, "usage": usage}


def _answer_body(context: TaskContext, body: Any) -> Result:
    texts, encoding = _read_body(body)
    answer = _embed(context, texts, str(body.get("model") or EMBEDDING_MODEL))
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(row, encoding)}
        for index, row in enumerate(answer.vectors)
    ]
    usage = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    shaped = {"object": "list", "data": data, "model": answer.model, "usage": usage}
    return Result({**_summary(answer), "body": shaped})


def _read_body(body: Any) -> tuple[list[str], str]:
    if not isinstance(body, dict):
        raise invalid("body", "must be an OpenAI embeddings request.")
    unknown = sorted(set(body) - _BODY_FIELDS)
    if unknown:
        raise invalid(f"body.{unknown[0]}", f"is not known; use {', '.join(sorted(_BODY_FIELDS))}.")
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not isinstance(texts, list) or not 1 <= len(texts) <= MOST_BODY_TEXTS:
        raise invalid("body.input", f"must be a string or 1 to {MOST_BODY_TEXTS} strings.")
    if not all(isinstance(text, str) and text for text in texts):
        raise invalid("body.input", "must hold strings that are not empty; tokens are not taken.")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise invalid("body.encoding_format", "must be float or base64.")
    return texts, encoding


def _encoded(row: Vectors, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return [round(float(value), 7) for value in row]
