"""Models behind any OpenAI-compatible endpoint: ``/chat/completions`` and ``/embeddings``.

There are no retries here: the control plane retries tasks, by the class of the error. No message
of an error repeats what the endpoint said beyond its error code, since endpoints quote prompts
and keys.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from workeragent.models.answers import (
    ChatAnswer,
    EmbeddingAnswer,
    Message,
    Vectors,
    estimated_message_tokens,
    estimated_tokens,
    unit_rows,
)
from workeragent.models.openai_errors import raise_for_answer
from workeragent.outcome import PermanentError, TransientError

TEXTS_PER_CALL = 256
"""Texts in one embeddings request; OpenAI takes 2,048, smaller servers far fewer."""

CONNECT_SECONDS = 10.0


class OpenAIModel:
    """One endpoint; holds no state but its address and key, so any number of threads may use it.

    ``base_url`` ends before ``/chat/completions``, for example ``http://127.0.0.1:9000/v1``.
    """

    def __init__(self, base_url: str, *, key: str = "") -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def chat(
        self,
        messages: list[Message],
        *,
        model: str,
        max_tokens: int,
        temperature: float,
        options: Mapping[str, object],
        timeout_seconds: float,
    ) -> ChatAnswer:
        """Answer the messages. Raises a TaskError whose class says whether to try again."""
        body: dict[str, object] = {
            "model": model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": temperature,
            **options,
        }
        return _chat_answer(self._post("/chat/completions", body, timeout_seconds), messages, model)

    def embed(self, texts: list[str], *, model: str, timeout_seconds: float) -> EmbeddingAnswer:
        """One unit vector per text. Raises a TaskError whose class says whether to try again."""
        parts: list[Vectors] = []
        tokens, counted = 0, True
        for start in range(0, len(texts), TEXTS_PER_CALL):
            part = texts[start : start + TEXTS_PER_CALL]
            body = {"model": model, "input": part, "encoding_format": "float"}
            answer = self._post("/embeddings", body, timeout_seconds)
            parts.append(_vectors(answer, len(part)))
            used = _token_count(answer, "prompt_tokens")
            counted = counted and used is not None
            tokens += sum(map(estimated_tokens, part)) if used is None else used
        return EmbeddingAnswer(np.vstack(parts), model, tokens, counted)

    def _post(self, path: str, body: Mapping[str, object], timeout_seconds: float) -> Any:
        limits = httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
        try:
            answer = _http().post(
                self._base_url + path, json=body, headers=self._headers, timeout=limits
            )
        except httpx.TimeoutException as error:
            raise TransientError(
                "model_timeout", f"The endpoint did not answer within {timeout_seconds:g} s."
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise PermanentError(
                "endpoint_address", "The endpoint's base_url is not an http(s) address."
            ) from error
        except httpx.HTTPError as error:
            raise TransientError(
                "endpoint_unreachable", "The connection to the endpoint failed."
            ) from error
        raise_for_answer(answer)
        return _json(answer)


def model_key(key_name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The endpoint's key from ``DAEF_MODEL_KEY_<KEY_NAME>`` or the file named by ``…_FILE``.

    An empty ``key_name`` is an endpoint without a key. Raises PermanentError that names the
    variable when it is missing or its file cannot be read.
    """
    if not key_name:
        return ""
    variable = "DAEF_MODEL_KEY_" + re.sub(r"[^A-Z0-9]", "_", key_name.upper())
    if environment.get(variable):
        return environment[variable].strip()
    file_name = environment.get(f"{variable}_FILE")
    if not file_name:
        raise PermanentError(
            "model_key_missing", f"Set {variable} or {variable}_FILE on the agent."
        )
    try:
        return Path(file_name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(
            "model_key_missing", f"The file named by {variable}_FILE cannot be read."
        ) from error


@cache
def _http() -> httpx.Client:
    """One pool of connections for the process; no redirects, since they would carry the key off."""
    return httpx.Client(follow_redirects=False)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise _unreadable() from error


def _chat_answer(answer: Any, messages: list[Message], model: str) -> ChatAnswer:
    try:
        choice = answer["choices"][0]
        text = choice["message"].get("content") or ""
        finish_reason = str(choice.get("finish_reason") or "stop")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _unreadable() from error
    if not isinstance(text, str):
        raise _unreadable()
    taken = _token_count(answer, "prompt_tokens")
    given = _token_count(answer, "completion_tokens")
    return ChatAnswer(
        text=text,
        model=model,
        input_tokens=estimated_message_tokens(messages) if taken is None else taken,
        output_tokens=estimated_tokens(text) if given is None else given,
        finish_reason=finish_reason,
        counted=taken is not None and given is not None,
    )


def _vectors(answer: Any, count: int) -> Vectors:
    try:
        rows = sorted(answer["data"], key=lambda row: int(row["index"]))
        vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable() from error
    if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
        raise _unreadable()
    return unit_rows(vectors)


def _token_count(answer: Any, field: str) -> int | None:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    count = usage.get(field) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count >= 0 else None


def _unreadable() -> TransientError:
    return TransientError(
        "endpoint_answer_unreadable", "The endpoint's answer is not in OpenAI's format."
    )
