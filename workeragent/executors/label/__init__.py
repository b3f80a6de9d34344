"""Executor ``label``: a title for one cause, phrased by a chat model and checked.

Input ``{"cluster": rank, "keywords", "examples", "vocabulary": {stem: share}, "documents": n}``,
as ``cluster`` spawns it; the last two are optional. Result ``{"cluster", "title", "explanation",
"labelled_by", "model_title", "rejected"}``: ``labelled_by`` is the model's name, or ``keywords``
when its title was rejected (``rejected`` says why, ``model_title`` keeps what it said) or the
model failed. Only failures that pass by themselves fail the task, so that it is tried again.

The prompt has two worked examples and the two most typical texts, about 120 tokens: prompts are
what a small model on a CPU is slow at, its beginning is cached from call to call, and more texts
made its titles worse, not better.
"""

from dataclasses import dataclass
from typing import Any

from workeragent.executors.context import TaskContext
from workeragent.executors.label.titles import (
    clean_title,
    explanation,
    readable_title,
    reason_against,
    telling_part,
)
from workeragent.executors.parameters import invalid, whole_number
from workeragent.executors.words import content_words, stem, stems
from workeragent.models.answers import ChatAnswer, Message
from workeragent.models.registry import CHAT_MODEL
from workeragent.outcome import (
    OverloadedError,
    RateLimitedError,
    Result,
    TaskError,
    TransientError,
)

BY_KEYWORDS = "keywords"
TITLE_TOKENS = 20
PROMPT_TEXTS = 2
PROMPT_TEXT_CHARACTERS = 120

INSTRUCTION = (
    "You write short titles for groups of customer messages. A title has two to six words."
)
WORKED: tuple[tuple[str, str], ...] = (
    (
        "- The app closes when I open it\n- app keeps crashing on start",
        "App crashes on start",
    ),
    (
        "- Where is my parcel?\n- parcel still not delivered",
        "Parcel not delivered",
    ),
)
_PROMPT_WORDS = stems(INSTRUCTION) | {word for asked, _ in WORKED for word in stems(asked)}
_PASSING = (TransientError, RateLimitedError, OverloadedError)


@dataclass(frozen=True, slots=True)
class Cause:
    """What the task knows of the cause it names."""

    rank: int
    keywords: list[str]
    examples: list[str]
    vocabulary: dict[str, float]
    documents: int


def run(context: TaskContext) -> Result:
    """Name the cause, by the model if its title stands, else by keywords."""
    cause = _read(context.task.input)
    model = context.task.model or CHAT_MODEL
    said, rejected = "", ""
    try:
        answer = context.models.chat(
            prompt(cause.examples, cause.keywords), model=model, max_tokens=TITLE_TOKENS
        )
        said = answer.text.strip()[:500]
        rejected = _reason_against(answer, cause)
    except _PASSING:
        raise
    except TaskError as error:
        rejected = f"the model failed ({error.code})"
    if rejected:
        context.log(f"label {cause.rank}: by keywords, {rejected}")
    return Result(_label(cause, said, rejected, model))


def prompt(examples: list[str], keywords: list[str]) -> list[Message]:
    """The chat messages that ask for a title of these texts, the most typical first.

    Of a long text only the sentence with most of the keywords is shown.
    """
    messages = [{"role": "system", "content": INSTRUCTION}]
    for asked, answered in WORKED:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answered})
    shown = dict.fromkeys(
        telling_part(text, keywords, most=PROMPT_TEXT_CHARACTERS) for text in examples
    )
    messages.append(
        {"role": "user", "content": "\n".join(f"- {text}" for text in list(shown)[:PROMPT_TEXTS])}
    )
    return messages


def _reason_against(answer: ChatAnswer, cause: Cause) -> str:
    if answer.finish_reason == "length":
        return "cut off"
    return reason_against(
        clean_title(answer.text),
        vocabulary=cause.vocabulary,
        keywords=cause.keywords,
        prompt_words=_PROMPT_WORDS,
    )


def _label(cause: Cause, said: str, rejected: str, model: str) -> dict[str, Any]:
    by_keywords = readable_title(cause.keywords, cause.examples)
    return {
        "cluster": cause.rank,
        "title": by_keywords if rejected else clean_title(said),
        "explanation": explanation(cause.documents, cause.keywords, cause.examples),
        "labelled_by": BY_KEYWORDS if rejected else model,
        "model_title": said,
        "rejected": rejected,
    }


def _read(value: Any) -> Cause:
    if not isinstance(value, dict):
        raise invalid("input", "must be an object with cluster, keywords and examples.")
    examples, keywords = _strings(value, "examples"), _strings(value, "keywords")
    vocabulary = value.get("vocabulary")
    if not isinstance(vocabulary, dict):
        vocabulary = _vocabulary(examples)
    return Cause(
        rank=whole_number(value, "cluster", default=1, least=0, most=1_000_000),
        keywords=keywords,
        examples=examples,
        vocabulary=vocabulary,
        documents=whole_number(value, "documents", default=len(examples), least=0, most=1_000_000),
    )


def _strings(value: dict[str, Any], field: str) -> list[str]:
    found = value.get(field, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise invalid(field, "must be a list of strings.")
    return found


def _vocabulary(examples: list[str]) -> dict[str, float]:
    found = [{stem(word) for word in content_words(text)} for text in examples]
    every = set().union(*found)
    return {word: sum(word in each for each in found) / len(found) for word in every}
