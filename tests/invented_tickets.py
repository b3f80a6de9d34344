"""Small seeded sets of invented support messages with known causes, for tests of the analysis."""

import random

OPENINGS = ("", "Hello, ", "Please help, ", "Since yesterday ", "Again: ")
ENDINGS = ("", " Thanks.", " It is urgent.", " Third time this week!", " Can you fix it?")

CAUSES: dict[str, tuple[str, ...]] = {
    "printer": (
        "the printer jams whenever I print double sided",
        "paper gets stuck in the printer",
        "my printer has a paper jam again",
        "the printer pulls two sheets and jams",
    ),
    "invoice": (
        "the invoice shows the wrong tax number",
        "our company name is wrong on the invoice",
        "I need a corrected invoice with our address",
        "the billing address on the invoice is not ours",
    ),
    "calendar": (
        "the meeting invitation shows up an hour late in my calendar",
        "calendar events moved by one hour after the clock change",
        "all my calendar meetings are in the wrong time zone",
        "the calendar sync puts meetings at the wrong hour",
    ),
    "parcel": (
        "the courier left my parcel with a neighbour I do not know",
        "my parcel is marked as delivered but never came",
        "the delivery of my parcel is a week late",
        "where is the parcel I ordered",
    ),
}


def tickets(
    each: int, *, causes: tuple[str, ...] = tuple(CAUSES), seed: int = 1
) -> list[dict[str, str]]:
    """``each`` messages of every cause, shuffled; the id ``<cause>-<n>`` tells the truth."""
    chance = random.Random(seed)
    found = [
        {
            "id": f"{cause}-{number}",
            "text": chance.choice(OPENINGS) + chance.choice(CAUSES[cause]) + chance.choice(ENDINGS),
        }
        for cause in causes
        for number in range(each)
    ]
    chance.shuffle(found)
    return found
