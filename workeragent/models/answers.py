"""What models take and give: plain values shared by every backend."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Message = dict[str, str]
"""One chat message: ``{"role": "system" | "user" | "assistant", "content": text}``."""

Vectors = NDArray[np.float32]
"""Embeddings, shape ``[n, dimensions]``, each row of length 1."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a chat model said, and what it took.

    ``finish_reason`` is ``stop`` or ``length``; ``counted`` is false when the endpoint reported
    no token counts and they were estimated from the length of the texts.
    """

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    finish_reason: str = "stop"
    counted: bool = True


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """Vectors in the order of the texts (float32 ``[n, dimensions]``, unit length)."""

    vectors: Vectors
    model: str
    input_tokens: int
    counted: bool = True


class ChatModel(Protocol):
    """A model that answers messages."""

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
        """Answer with at most ``max_tokens`` new tokens; ``options`` as in OpenAI's body."""


class EmbeddingModel(Protocol):
    """A model that turns texts into vectors."""

    def embed(self, texts: list[str], *, model: str, timeout_seconds: float) -> EmbeddingAnswer:
        """One unit vector per text."""


def unit_rows(rows: Vectors) -> Vectors:
    """The rows scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Vectors = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


CHARACTERS_PER_TOKEN = 3.0
"""Cautious estimate for English and code: real tokenizers give 3.5 to 4.5."""

MESSAGE_OVERHEAD_TOKENS = 16
"""Room for a chat template's role markers round one message."""


def estimated_tokens(text: str) -> int:
    """About how many tokens the text has, rather too many than too few.

    Text outside ASCII is counted by its UTF-8 bytes, since tokenizers fall back to bytes there.
    """
    if text.isascii():
        return int(len(text) / CHARACTERS_PER_TOKEN) + 1
    return len(text.encode("utf-8", "replace")) // 2 + 1


def estimated_message_tokens(messages: list[Message]) -> int:
    """About how many input tokens a chat call with these messages has."""
    return sum(estimated_tokens(m["content"]) + MESSAGE_OVERHEAD_TOKENS for m in messages)
