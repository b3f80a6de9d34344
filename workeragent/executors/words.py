"""Words of a text: which carry meaning, and which are forms of each other. Pure.

The rules are for English, since the embedded models are; in other languages nothing is a stop
word and fewer forms meet, which makes keywords plainer but never wrong.
"""

import re
from functools import lru_cache

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


GREETINGS = _set_of(
    "hi hello hey dear thanks thank please kindly regards sincerely morning afternoon team sir "
    "madam"
)
"""Words of courtesy: frequent in messages of every cause."""

CONTRACTIONS = _set_of(
    "don didn doesn isn aren wasn weren won wouldn couldn shouldn can haven hasn hadn ain let "
    "dont didnt doesnt isnt cant wont im ive id ll ve re"
)
"""What is left of "don't" and its kind before the apostrophe, and the same without one."""

FILLERS = _set_of(
    "does did doing want wanted need needed like know just really got getting going try trying "
    "tried use using used make made say said tell think thing things way time help ups"
)
"""Verbs and nouns that say nothing about the subject by themselves."""

SUBJECTS = _set_of(
    "amount bill call computer describe detail empty fill fire full interest move name part system "
    "top bottom front side"
)
"""Words on scikit-learn's list of stop words that people do write about."""

STOP_WORDS = (frozenset(ENGLISH_STOP_WORDS) - SUBJECTS) | GREETINGS | CONTRACTIONS | FILLERS

# Each alternative begins where a word does: tried at every letter of a long one, as in a picture
# that was pasted as text, they would take hours.
_ADDRESS = re.compile(r"(?<!\S)\S+@\S+|\b\w+://\S+|www\.\S+")
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = (
    *("ications", "ication", "ations", "ation", "ments", "ment", "ions", "ion", "ings", "ing"),
    *("ied", "ies", "ers", "er", "ed", "es", "al", "ly", "s", "y", "e"),
)
_SHORTEST_STEM = 3
_LONGEST_WORD = 50
"""Letters; what is longer is data, and its endings would be taken off one by one."""


def content_words(text: str) -> list[str]:
    """Words that carry meaning, in lower case and order; no addresses and nothing with a digit."""
    found = _WORD.findall(_ADDRESS.sub(" ", text).replace("’", "'").lower())
    return [word for word in found if is_content(word)]


def is_content(word: str) -> bool:
    """Whether the lower-case word says something about a subject."""
    return 1 < len(word) <= _LONGEST_WORD and word.isalpha() and word not in STOP_WORDS


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """What the forms of a word share: "verified", "verifying" and "verification" meet.

    It strips English endings while at least three letters stay, so that it joins rather too much
    than too little: it decides whether a title's word occurs, not what is printed.
    """
    while True:
        shorter = _without_ending(word)
        if shorter == word:
            return word
        word = shorter


def _without_ending(word: str) -> str:
    """One ending less, and then "cancell" like "cancel"."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > _SHORTEST_STEM and word[-1] == word[-2] else word


def stems(text: str) -> set[str]:
    """Stems of the text's content words."""
    return {stem(word) for word in content_words(text)}
