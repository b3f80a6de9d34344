"""What executors call: picks the endpoint, keeps the cost ceiling, records every call.

One client per attempt, used from one thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from workeragent.models import registry
from workeragent.models.answers import (
    ChatAnswer,
    ChatModel,
    EmbeddingAnswer,
    EmbeddingModel,
    Message,
    estimated_message_tokens,
    estimated_tokens,
)
from workeragent.models.openai import OpenAIModel, model_key
from workeragent.outcome import BudgetExceededError, PermanentError, UsageEntry

NO_CEILING = -1
DEFAULT_TIMEOUT_SECONDS = 120.0
"""For endpoints that name none: the longest answer of the embedded model takes half a minute."""


class Endpoint(Protocol):
    """Where models answer: worker.proto's ``ModelEndpoint``, or any object with its fields.

    Prices are micro-USD per million tokens.
    """

    @property
    def name(self) -> str:
        """Its name in the control plane."""
        ...

    @property
    def backend(self) -> str:
        """``embedded`` or ``openai``."""
        ...

    @property
    def base_url(self) -> str:
        """For ``openai``: the address before ``/chat/completions``."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Names of the models it serves."""
        ...

    @property
    def input_price(self) -> int:
        """Price of input tokens."""
        ...

    @property
    def output_price(self) -> int:
        """Price of output tokens."""
        ...

    @property
    def key_name(self) -> str:
        """Name of its key on the agent, empty for none."""
        ...

    @property
    def timeout_seconds(self) -> int:
        """How long a call may take, 0 for the default."""
        ...


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """An endpoint written down in Python, for use without a control plane."""

    name: str
    backend: str
    models: tuple[str, ...]
    base_url: str = ""
    input_price: int = 0
    output_price: int = 0
    key_name: str = ""
    timeout_seconds: int = 0


class ModelClient:
    """The models of one attempt. ``usage`` lists every call that was answered."""

    def __init__(self, endpoints: Sequence[Endpoint], ceiling_nano_usd: int) -> None:
        self._endpoints = endpoints
        self._ceiling = ceiling_nano_usd
        self.usage: list[UsageEntry] = []

    @classmethod
    def for_task(
        cls, endpoints: Sequence[Endpoint], ceiling_nano_usd: int = NO_CEILING
    ) -> "ModelClient":
        """A client for one attempt, which may spend ``ceiling_nano_usd`` (-1: no ceiling)."""
        return cls(endpoints, ceiling_nano_usd)

    def chat(
        self,
        messages: list[Message],
        *,
        model: str,
        max_tokens: int,
        temperature: float = 0.0,
        options: Mapping[str, object] | None = None,
    ) -> ChatAnswer:
        """Ask a chat model; ``options`` are further fields of OpenAI's body, such as ``stop``.

        Raises BudgetExceededError before a call that could cost more than is left,
        PermanentError when no endpoint serves the model, and what the endpoint raises.
        """
        endpoint = self._endpoint(model)
        self._reserve(endpoint, estimated_message_tokens(messages), max_tokens)
        answer = _chat_backend(endpoint, model).chat(
            messages,
            model=model,
            max_tokens=max_tokens,
            temperature=temperature,
            options=options or {},
            timeout_seconds=endpoint.timeout_seconds or DEFAULT_TIMEOUT_SECONDS,
        )
        self._record(endpoint, model, answer.input_tokens, answer.output_tokens)
        return answer

    def embed(self, texts: list[str], *, model: str) -> EmbeddingAnswer:
        """Unit vectors of the texts, float32 ``[n, dimensions]``. Raises as ``chat`` does."""
        if not texts:
            return EmbeddingAnswer(np.zeros((0, 0), dtype=np.float32), model, 0)
        endpoint = self._endpoint(model)
        self._reserve(endpoint, sum(map(estimated_tokens, texts)), 0)
        answer = _embedding_backend(endpoint, model).embed(
            texts,
            model=model,
            timeout_seconds=endpoint.timeout_seconds or DEFAULT_TIMEOUT_SECONDS,
        )
        self._record(endpoint, model, answer.input_tokens, 0)
        return answer

    @property
    def spent_nano_usd(self) -> int:
        """What the calls so far cost together."""
        return sum(entry.cost_nano_usd for entry in self.usage)

    def _endpoint(self, model: str) -> Endpoint:
        for endpoint in self._endpoints:
            if model in endpoint.models:
                return endpoint
        known = sorted({name for endpoint in self._endpoints for name in endpoint.models})
        raise PermanentError(
            "model_unavailable",
            f"No endpoint of this pool serves the model {model!r}; known: "
            + (", ".join(known) or "none")
            + ".",
        )

    def _reserve(self, endpoint: Endpoint, input_tokens: int, output_tokens: int) -> None:
        if self._ceiling == NO_CEILING:
            return
        worst = cost_nano_usd(endpoint, input_tokens, output_tokens)
        left = self._ceiling - self.spent_nano_usd
        if worst > left:
            raise BudgetExceededError(
                "ceiling_reached",
                f"The next model call may cost {worst} nano-USD, of the attempt's ceiling "
                f"{max(left, 0)} are left.",
            )

    def _record(
        self, endpoint: Endpoint, model: str, input_tokens: int, output_tokens: int
    ) -> None:
        cost = cost_nano_usd(endpoint, input_tokens, output_tokens)
        self.usage.append(
            UsageEntry(len(self.usage), endpoint.name, model, input_tokens, output_tokens, cost)
        )


def cost_nano_usd(endpoint: Endpoint, input_tokens: int, output_tokens: int) -> int:
    """Price of one call in nano-USD, each direction rounded up.

    Micro-USD per million tokens is the same as nano-USD per thousand.
    """
    return -(-input_tokens * endpoint.input_price // 1000) + -(
        -output_tokens * endpoint.output_price // 1000
    )


def _chat_backend(endpoint: Endpoint, model: str) -> ChatModel:
    if endpoint.backend == "embedded":
        return registry.chat_model(model)
    return _openai_backend(endpoint)


def _embedding_backend(endpoint: Endpoint, model: str) -> EmbeddingModel:
    if endpoint.backend == "embedded":
        return registry.embedding_model(model)
    return _openai_backend(endpoint)


def _openai_backend(endpoint: Endpoint) -> OpenAIModel:
    if endpoint.backend != "openai":
        raise PermanentError(
            "endpoint_backend", f"Endpoint {endpoint.name!r} has an unknown backend."
        )
    return OpenAIModel(endpoint.base_url, key=model_key(endpoint.key_name))
