"""Titles of causes: checking what a model said, and making one without a model. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from workeragent.executors.words import content_words, stem, stems

LONGEST_TITLE = 80
MOST_WORDS = 12
TITLE_KEYWORDS = 4
COMMON_SHARE = 0.1
"""A word in this share of a cause's documents belongs to the cause, not to one document."""

_MARKS = " \t\"'`“”‘’«»*_#-–—•:;,."
_LEAD = re.compile(r"^(?:title|topic|answer|cause|problem|label)\s*[:\-–]\s*", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_STUTTER = re.compile(r"\b(\w+)\W+\1\b", re.IGNORECASE)


def clean_title(text: str) -> str:
    """The first line of an answer without list marks, quotes, "Title:" and a final full stop."""
    line = next((line for line in text.splitlines() if line.strip(_MARKS)), "")
    line = _LEAD.sub("", " ".join(line.split()).strip(_MARKS))
    return _capitalised(line.strip(_MARKS))


def reason_against(
    title: str, *, vocabulary: Mapping[str, float], keywords: Sequence[str], prompt_words: set[str]
) -> str:
    """Why the cleaned title cannot stand, in a few words; empty when it can.

    ``vocabulary`` maps the stems of the cause's documents to the share of documents they occur
    in; ``prompt_words`` are stems of our own instructions, which a weak model quotes.
    """
    words = [stem(word) for word in content_words(title)]
    if not words:
        return "empty"
    if len(title) > LONGEST_TITLE or len(title.split()) > MOST_WORDS:
        return "too long"
    known = set(vocabulary) | {stem(word) for word in keywords}
    foreign = [word for word in words if not _occurs(word, known)]
    if any(word in prompt_words for word in foreign):
        return "quotes the prompt"
    if foreign:
        return "words that are not in the documents"
    if max(Counter(words).values()) > 2 or _STUTTER.search(title):
        return "repeats itself"
    if not any(_tells(word, vocabulary, keywords) for word in words):
        return "nothing that tells the cause from others"
    return ""


def readable_title(keywords: Sequence[str], examples: Sequence[str]) -> str:
    """A title without a model: the keywords, best first; without any, the most typical text.

    It is never a sentence picked from a document: that would read like a judgement nobody made.
    """
    if keywords:
        return _capitalised(_listed(list(keywords[:TITLE_KEYWORDS])))
    first = next((text for text in examples if text.strip()), "documents without words")
    return _capitalised(_shortened(first))


def telling_part(text: str, keywords: Sequence[str], *, most: int) -> str:
    """The sentence of the text with most of the keywords, shortened to ``most`` characters.

    Letters open with courtesies; a text that is short anyway is taken whole.
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    weights = _weights(keywords)
    sentences = [" ".join(part.split()) for part in _SENTENCE.findall(text) if part.strip(_MARKS)]
    return _shortened(max(sentences, key=lambda each: _coverage(each, weights), default=line), most)


def explanation(documents: int, keywords: Sequence[str], examples: Sequence[str]) -> str:
    """One or two sentences on a cause, from facts alone."""
    parts = []
    if examples and examples[0].strip():
        parts.append(f"Most typical: “{telling_part(examples[0], keywords, most=140)}”")
    if keywords:
        parts.append(f"Words that set it apart: {', '.join(keywords)}.")
    many = "1 document" if documents == 1 else f"{documents} documents"
    return " ".join([f"{many} on the same subject.", *parts])


def _occurs(word: str, known: set[str]) -> bool:
    """Whether the stem, or another that only differs in its ending, is known."""
    if word in known:
        return True
    return len(word) >= 4 and any(
        (word.startswith(other) or other.startswith(word)) and abs(len(word) - len(other)) <= 2
        for other in known
        if len(other) >= 4
    )


def _tells(word: str, vocabulary: Mapping[str, float], keywords: Sequence[str]) -> bool:
    """Whether the stem is a keyword's; without keywords, whether many documents have it."""
    if keywords:
        return word in {stem(each) for each in keywords}
    return vocabulary.get(word, 0.0) >= COMMON_SHARE


def _weights(keywords: Sequence[str]) -> dict[str, float]:
    return {stem(word): 1.0 / place for place, word in enumerate(keywords, start=1)}


def _coverage(sentence: str, weights: Mapping[str, float]) -> float:
    """Weight of the keywords in the sentence, a little less for each of its words."""
    return sum(weights.get(word, 0.0) for word in stems(sentence)) - 0.02 * len(sentence.split())


def _listed(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _shortened(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    return line[: most - 1].rsplit(" ", 1)[0].rstrip(_MARKS) + "…"


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
