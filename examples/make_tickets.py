"""Makes the demo's 500 support tickets: ``python examples/make_tickets.py``.

Nordlane, the company they are written to, is made up. A dozen causes are hidden in them, in the
words of ``ticket_phrases.toml``; some tickets belong to no cause. The same seed gives the same
files: ``tickets.csv`` without any label, and ``tickets-truth.json`` with the cause of each ticket,
which only a test reads.
"""

from __future__ import annotations

import csv
import json
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SEED = 500
FIRST = datetime(2026, 9, 1, 6, tzinfo=UTC)
DAYS = 60
NO_CAUSE = ""
"""The cause of tickets that have none, as it stands in the truth file."""

TERSE, PLAIN, LETTER, UPSET, LOWER = "terse", "plain", "letter", "upset", "lower"
STYLES = (TERSE, PLAIN, PLAIN, PLAIN, LETTER, LETTER, UPSET, LOWER)
GREETED_SHARE, WISH_SHARE, SWAP_SHARE, RUN_ON_SHARE, TYPO_SHARE = 0.4, 0.6, 0.3, 0.35, 0.12
DECKS = ("subjects", "problems", "details", "wishes")
RUN_ON = frozenset({"The", "It", "It's", "Our", "We", "With", "Without", "Same", "No", "Only"})
"""First words that can be written small when a sentence is joined to the one before."""


class Deck:
    """Deals its cards in random order and shuffles again only when all have been dealt."""

    def __init__(self, cards: Sequence[str], chance: random.Random) -> None:
        self._cards, self._chance, self._left = list(cards), chance, list[str]()

    def deal(self) -> str:
        """The next card."""
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()


@dataclass(frozen=True)
class Ticket:
    """One ticket; ``cause`` never leaves the truth file."""

    cause: str
    customer: str
    subject: str
    body: str
    created_at: datetime
    id: str = ""


class Author:
    """Writes tickets from the phrases, as a seeded chance has it."""

    def __init__(self, phrases: dict[str, Any], chance: random.Random) -> None:
        self._words, self._fillers = phrases["words"], phrases["fillers"]
        self._chance = chance

    def of_cause(self, phrases: dict[str, Any]) -> Iterator[Ticket]:
        """All tickets of one cause."""
        decks = {name: Deck(phrases[name], self._chance) for name in DECKS}
        for _ in range(phrases["tickets"]):
            subject = self._filled(decks["subjects"].deal())
            yield self._ticket(phrases["name"], subject, self._body(decks))

    def of_no_cause(self, subject: str, text: str) -> Ticket:
        """A ticket that stands for itself."""
        return self._ticket(NO_CAUSE, subject, self._filled(text))

    def _ticket(self, cause: str, subject: str, body: str) -> Ticket:
        days, seconds = self._chance.randrange(DAYS), self._chance.randrange(15 * 3600)
        moment = FIRST + timedelta(days=days, seconds=seconds)
        return Ticket(cause, self._any("companies"), subject, body, moment)

    def _body(self, decks: dict[str, Deck]) -> str:
        style = self._chance.choice(STYLES)
        parts = [self._filled(part) for part in self._parts(decks, style) if part]
        body = self._joined([self._varied(part) for part in parts])
        if style == LETTER:
            sign = f"{self._any('closings')}\n{self._any('first_names')}"
            body = f"{self._any('greetings')}\n\n{body}\n\n{sign}"
        elif style == PLAIN and self._chance.random() < GREETED_SHARE:
            body = f"{self._any('greetings')} {body}"
        elif style == LOWER:
            body = body.lower().rstrip(".")
        return self._with_typo(body) if self._chance.random() < TYPO_SHARE else body

    def _parts(self, decks: dict[str, Deck], style: str) -> list[str]:
        """The sentences of one ticket: what is wrong, then as much more as the style likes."""
        problem = decks["problems"].deal()
        wish = decks["wishes"].deal() if self._chance.random() < WISH_SHARE else ""
        if style == TERSE:
            return [problem, wish]
        if style == LOWER:
            return [problem, decks["details"].deal()]
        details = [decks["details"].deal() for _ in range(self._chance.choice((1, 1, 2)))]
        if style == UPSET:
            return [self._any("upset_openings"), problem, *details, wish]
        return [self._any("openings"), problem, *details, self._any("impacts"), wish]

    def _any(self, name: str) -> str:
        return str(self._chance.choice(self._words[name]))

    def _filled(self, text: str) -> str:
        """The text with each ``{name}`` replaced by one of its fillers."""
        return re.sub(r"\{(\w+)\}", lambda it: self._chance.choice(self._fillers[it[1]]), text)

    def _varied(self, sentence: str) -> str:
        """The same sentence in slightly other words."""
        for one, other in self._words["swaps"]:
            if self._chance.random() < SWAP_SHARE:
                sentence = re.sub(rf"\b{one}\b", other, sentence, count=1)
        return sentence[:1].upper() + sentence[1:]

    def _joined(self, sentences: list[str]) -> str:
        """Sentences in a row; people run some of them together."""
        text = sentences[0]
        for before, sentence in pairwise(sentences):
            is_opening = before in (*self._words["openings"], *self._words["upset_openings"])
            may_run_on = sentence.split()[0] in RUN_ON and before.endswith(".") and not is_opening
            if may_run_on and self._chance.random() < RUN_ON_SHARE:
                joint = self._chance.choice((", ", " - ", "... ", " and ", "; "))
                text = text[:-1] + joint + sentence[0].lower() + sentence[1:]
            else:
                text += " " + sentence
        return text

    def _with_typo(self, text: str) -> str:
        """The text with two letters of one longer word swapped, or one letter lost."""
        words = list(re.finditer(r"[a-z]{6,}", text))
        if not words:
            return text
        word = self._chance.choice(words)
        at = word.start() + self._chance.randrange(1, len(word[0]) - 2)
        if self._chance.random() < 0.5:
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        return text[:at] + text[at + 1 :]


def make_tickets(seed: int = SEED) -> list[Ticket]:
    """All tickets in the order of their times, with ids ``t-0001`` onwards."""
    phrases = tomllib.loads((HERE / "ticket_phrases.toml").read_text(encoding="utf-8"))
    author = Author(phrases, random.Random(seed))
    tickets = [ticket for cause in phrases["cause"] for ticket in author.of_cause(cause)]
    tickets += [author.of_no_cause(*other) for other in phrases["other"]["tickets"]]
    tickets.sort(key=lambda ticket: ticket.created_at)
    return [replace(ticket, id=f"t-{number:04}") for number, ticket in enumerate(tickets, 1)]


def main() -> None:
    """Write both files beside this one."""
    tickets = make_tickets()
    with (HERE / "tickets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "created_at", "customer", "subject", "body"])
        for one in tickets:
            moment = one.created_at.isoformat().replace("+00:00", "Z")
            writer.writerow([one.id, moment, one.customer, one.subject, one.body])
    truth = {one.id: one.cause for one in tickets}
    text = json.dumps(truth, indent=1, ensure_ascii=False) + "\n"
    (HERE / "tickets-truth.json").write_text(text, encoding="utf-8")
    print(f"{len(tickets)} tickets, {len(set(truth.values()) - {NO_CAUSE})} causes")


if __name__ == "__main__":
    main()
