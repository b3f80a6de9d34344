"""A model that costs money: an OpenAI-compatible endpoint that counts tokens and says yes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.openai_servers import Said, chat_completion, scripted_server

PROMPT_TOKENS = 120
COMPLETION_TOKENS = 10
ANSWER_SECONDS = 0.02


@contextmanager
def till() -> Iterator[str]:
    """Serve until the block ends; yields the base URL."""

    def answer(_path: str, _body: Any) -> Said:
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
        return Said(body=chat_completion("Yes.", usage=usage), wait_seconds=ANSWER_SECONDS)

    with scripted_server(answer) as server:
        yield server.base_url
