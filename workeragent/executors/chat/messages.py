"""Reading a chat task's input into messages and settings, with errors that name the field."""

from dataclasses import dataclass, field
from typing import Any

from workeragent.executors.parameters import documents, invalid, number, text, whole_number
from workeragent.models.answers import Message, estimated_tokens

DEFAULT_MAX_TOKENS = 128
MOST_TOKENS = 32_768
MOST_MESSAGES = 1000
ROLES = ("system", "developer", "user", "assistant")

PASSED_ON = frozenset(
    {"top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "response_format"}
)
"""Fields of OpenAI's body that go to the model as they are."""

_READ = frozenset({"model", "messages", "max_tokens", "max_completion_tokens", "temperature"})
_WITHOUT_EFFECT = frozenset({"user", "metadata", "store"})
_ONLY = {"n": 1, "stream": False}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a chat model; ``model`` is empty when the input names none."""

    messages: list[Message]
    max_tokens: int
    temperature: float
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def read_request(value: Any, parameters: dict[str, Any]) -> ChatRequest:
    """The request in ``{"body"}``, ``{"messages"}``, ``{"prompt"}`` or a plain string.

    ``{"documents": […]}`` asks ``parameters["question"]`` (or ``input``) about the documents.
    Raises InvalidInputError that names the field.
    """
    if isinstance(value, dict) and "body" in value:
        return _from_body(value["body"])
    messages = _messages_of(value, parameters)
    system = text(parameters, "system")
    if system:
        messages = [{"role": "system", "content": system}, *messages]
    return ChatRequest(
        messages=messages,
        max_tokens=_max_tokens(parameters, "max_tokens"),
        temperature=_temperature(parameters),
    )


def question_about(question: str, texts: list[str]) -> list[Message]:
    """The messages that ask a question about texts; short, since small models read slowly."""
    listed = "\n".join(f"- {' '.join(each.split())}" for each in texts)
    return [{"role": "user", "content": f"{question}\n\n{listed}".strip()}]


def shortened_documents(
    given: list[dict[str, str]], room: int
) -> tuple[list[dict[str, str]], list[str]]:
    """The documents within ``room`` estimated tokens together, and the ids of those cut.

    Each gets an equal part of the room; only what is longer than its part loses its end.
    """
    part = max(1, room // len(given))
    kept, cut = [], []
    for document in given:
        size = estimated_tokens(document["text"])
        if size > part:
            cut.append(document["id"])
            document = {
                **document,
                "text": document["text"][: part * len(document["text"]) // size],
            }
        kept.append(document)
    return kept, cut


def _messages_of(value: Any, parameters: dict[str, Any]) -> list[Message]:
    if isinstance(value, str):
        return _prompt(value)
    if not isinstance(value, dict):
        raise invalid("input", "must be a string or an object with prompt or messages.")
    if "messages" in value:
        return _messages(value["messages"])
    if "documents" in value:
        question = text(parameters, "question") or text(parameters, "input")
        return question_about(question, [each["text"] for each in documents(value)])
    return _prompt(value.get("prompt"))


def _prompt(value: Any) -> list[Message]:
    if not isinstance(value, str) or not value.strip():
        raise invalid("prompt", "must be a text that is not empty.")
    return [{"role": "user", "content": value}]


def _from_body(body: Any) -> ChatRequest:
    if not isinstance(body, dict):
        raise invalid("body", "must be an OpenAI chat completions request.")
    known = _READ | PASSED_ON | _WITHOUT_EFFECT | set(_ONLY)
    for name in sorted(set(body) - known):
        raise invalid(f"body.{name}", f"is not supported; use {', '.join(sorted(known))}.")
    for name, only in _ONLY.items():
        if body.get(name) not in (None, only):
            raise invalid(f"body.{name}", f"must be {str(only).lower()}.")
    limit = "max_completion_tokens" if body.get("max_completion_tokens") else "max_tokens"
    return ChatRequest(
        messages=_messages(body.get("messages")),
        max_tokens=_max_tokens(body, limit),
        temperature=_temperature(body),
        model=text(body, "model"),
        options={name: body[name] for name in PASSED_ON if body.get(name) is not None},
    )


def _messages(value: Any) -> list[Message]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_MESSAGES:
        raise invalid("messages", f"must be a list of 1 to {MOST_MESSAGES} messages.")
    return [_message(position, message) for position, message in enumerate(value)]


def _message(position: int, message: Any) -> Message:
    where = f"messages[{position}]"
    if not isinstance(message, dict):
        raise invalid(where, "must be an object with role and content.")
    if message.get("role") not in ROLES:
        raise invalid(f"{where}.role", f"must be one of {', '.join(ROLES)}.")
    # "developer" is what newer clients call "system"; chat templates know only the latter.
    role = "system" if message["role"] == "developer" else message["role"]
    return {"role": role, "content": _content(f"{where}.content", message.get("content"))}


def _content(where: str, content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(where, "must be a string or a list of text parts.")
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise invalid(where, 'takes only parts {"type": "text", "text": …}.')
    return "\n".join(part["text"] for part in content)


def _max_tokens(values: dict[str, Any], name: str) -> int:
    return whole_number(values, name, default=DEFAULT_MAX_TOKENS, least=1, most=MOST_TOKENS)


def _temperature(values: dict[str, Any]) -> float:
    return number(values, "temperature", default=0.0, least=0.0, most=2.0)
