"""The examples: the tickets are what their maker makes, the jobs can be planned."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from examples.make_tickets import NO_CAUSE, make_tickets
from jobs.planner.request import parse_job_request

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def rows():
    with (EXAMPLES / "tickets.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tickets_are_those_that_the_seed_makes():
    made = [(ticket.id, ticket.subject, ticket.body) for ticket in make_tickets()]
    assert [(row["id"], row["subject"], row["body"]) for row in rows()] == made


def test_there_are_five_hundred_tickets_of_a_dozen_causes():
    truth = json.loads((EXAMPLES / "tickets-truth.json").read_text(encoding="utf-8"))
    sizes = Counter(truth.values())
    assert [row["id"] for row in rows()] == list(truth)
    assert (len(truth), len(sizes) - 1, sizes[NO_CAUSE]) == (500, 12, 30)


def test_the_table_bears_no_label():
    assert list(rows()[0]) == ["id", "created_at", "customer", "subject", "body"]


def test_hardly_any_two_tickets_are_the_same():
    bodies = Counter(row["body"].casefold() for row in rows())
    assert len(bodies) >= 480


def test_no_place_is_left_unfilled():
    assert not [row for row in rows() if "{" in row["body"] or "{" in row["subject"]]


@pytest.mark.parametrize("path", sorted((EXAMPLES / "jobs").glob("*.json")), ids=lambda it: it.stem)
def test_each_job_is_a_valid_submit_body(path):
    request = parse_job_request(path.read_bytes())
    assert request.type == path.stem
