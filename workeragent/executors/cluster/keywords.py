"""Which words tell one group of documents from the others. Pure.

A class-based TF-IDF: a word's share of the group's documents, weighted by how much larger it is
than its share outside. Shares count documents, not occurrences, so that one long document cannot
fill the list.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workeragent.executors.words import content_words, stem

MOST_KEYWORDS = 6
MOST_VOCABULARY = 300
"""Words of a group that are handed on for checking titles: about 3 KB of JSON."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one group.

    ``keywords`` are the telling ones as people wrote them, best first; ``vocabulary`` the stems
    that occur, most frequent first, each with the share of documents it occurs in (0 to 1).
    """

    keywords: tuple[str, ...]
    vocabulary: dict[str, float]


def describe_groups(groups: Sequence[Sequence[str]], others: Sequence[str] = ()) -> list[Wording]:
    """The words of each group of texts; ``others`` are texts in no group, for contrast."""
    counts = [_count(texts) for texts in groups]
    overall = sum((stems for stems, _ in counts), _count(others)[0])
    total = sum(map(len, groups)) + len(others)
    return [
        _wording(stems, forms, len(texts), overall, total)
        for (stems, forms), texts in zip(counts, groups, strict=True)
    ]


def _count(texts: Sequence[str]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """In how many documents each stem occurs, and how often each form of it."""
    stems: Counter[str] = Counter()
    forms: Counter[tuple[str, str]] = Counter()
    for text in texts:
        words = content_words(text)
        stems.update({stem(word) for word in words})
        forms.update((stem(word), word) for word in words)
    return stems, forms


def _wording(
    stems: Counter[str],
    forms: Counter[tuple[str, str]],
    size: int,
    overall: Counter[str],
    total: int,
) -> Wording:
    # A word of one document describes that document, not the group.
    least = 2 if size > 3 else 1
    scores = {
        name: _weight(count, size, overall[name], total)
        for name, count in stems.items()
        if count >= least
    }
    best = sorted(scores, key=lambda name: (-scores[name], name))[:MOST_KEYWORDS]
    frequent = sorted(stems, key=lambda name: (-stems[name], name))[:MOST_VOCABULARY]
    return Wording(
        keywords=tuple(_usual_form(name, forms) for name in best),
        vocabulary={name: round(stems[name] / size, 3) for name in frequent},
    )


def _weight(count: int, size: int, overall: int, total: int) -> float:
    inside = count / size
    outside = (overall - count + 1) / (total - size + 1)
    return inside * math.log1p(inside / outside)


def _usual_form(name: str, forms: Counter[tuple[str, str]]) -> str:
    written = [(count, word) for (stem_, word), count in forms.items() if stem_ == name]
    return min(written, key=lambda pair: (-pair[0], len(pair[1]), pair[1]))[1]
