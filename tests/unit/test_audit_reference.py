"""The reference page of the audit log says what the code says."""

import re
from pathlib import Path

from audit.chain import Entry
from audit.events import DETAILS, Action, Door, Result
from audit.integrity import Tampering

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "audit-events.md"


def table(heading):
    """First and last cell of each row below a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(?:.*\|)? (.*) \|$", section, re.M)
    return dict(rows)


def test_the_page_lists_every_action_with_its_details():
    listed = {
        action: set(re.findall(r"`(\w+)`", last)) for action, last in table("Actions").items()
    }
    assert listed == {action.value: set(DETAILS[action]) for action in Action}


def test_the_page_lists_results_doors_columns_and_kinds_of_tampering():
    assert list(table("Results")) == list(Result)
    assert list(table("Doors")) == list(Door)
    assert list(table("An entry")) == list(Entry._fields)
    assert set(table("The chain")) == set(Tampering)
