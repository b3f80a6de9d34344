"""Server-sent events: in order, resumable, bounded, and without a connection kept for waiting."""

import json

import psycopg
import pytest
from django.db import connections

from jobs.api import events
from jobs.api.events import EventStream
from jobs.queries.events import events_after
from tests.integration.gateway import Gateway, problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ended_job():
    job = Gateway().submit()
    Gateway().post(f"/v1/jobs/{job['id']}/cancel")
    return job


def frames(response):
    text = b"".join(response.streaming_content).decode()
    response.close()
    parsed = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            parsed.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return parsed


def test_an_ended_jobs_stream_tells_its_story_and_ends(ended_job):
    response = Gateway().get(f"/v1/jobs/{ended_job['id']}/events")
    assert response["Content-Type"].startswith("text/event-stream")
    told = frames(response)
    assert told[0][1] == "submitted"
    assert told[-1][1:] == ("end", {"status": "Cancelled", "reason": "Cancelled"})
    identifiers = [int(identifier) for identifier, _, _ in told[:-1]]
    assert identifiers == sorted(identifiers)


def test_a_stream_goes_on_behind_the_last_event_that_was_seen(ended_job):
    address = f"/v1/jobs/{ended_job['id']}/events"
    told = frames(Gateway().get(address))
    again = frames(Gateway().get(address, **{"last-event-id": told[0][0]}))
    assert again == told[1:]


def test_streams_beyond_the_limit_are_503_and_places_come_back(ended_job):
    address = f"/v1/jobs/{ended_job['id']}/events"
    opened = [Gateway().get(address) for _ in range(events.MAX_STREAMS)]
    assert {response.status_code for response in opened} == {200}
    refused = Gateway().get(address)
    problem(refused, 503, "unavailable")
    assert int(refused["Retry-After"]) > 0
    for response in opened:
        response.close()
    assert frames(Gateway().get(address))


def test_an_open_jobs_stream_beats_while_nothing_happens(monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)
    job = Gateway().submit()
    response = Gateway().get(f"/v1/jobs/{job['id']}/events")
    chunks = iter(response.streaming_content)
    seen = [next(chunks) for _ in range(4)]
    assert seen[2:] == [b": still here\n\n"] * 2
    response.close()


def test_a_waiting_stream_holds_no_connection():
    job = Gateway().submit()
    number = int(job["id"].removeprefix("job-"))
    events.PLACES.take()
    stream = EventStream(number, 0)
    chunks = iter(stream)
    next(chunks)
    next(chunks)
    assert connections["default"].connection is None
    stream.close()
    with pytest.raises(StopIteration):
        next(chunks)


def test_an_event_waits_for_those_with_lower_ids_that_are_not_committed_yet():
    number = int(Gateway().submit()["id"].removeprefix("job-"))
    seen = events_after(number, 0, limit=10)[0][-1]["id"]
    with psycopg.connect(**dsn()) as late:
        write_event(late, number)
        with psycopg.connect(**dsn()) as early:
            write_event(early, number)
        assert events_after(number, seen, limit=10) == ([], True)
    assert len(events_after(number, seen, limit=10)[0]) == 2


def dsn():
    known = connections["default"].get_connection_params()
    return {name: known[name] for name in ("host", "port", "user", "password", "dbname")}


def write_event(session, number):
    session.execute(
        "insert into job_event (job_id, kind, happened_at, actor, task_ids, details) "
        "values (%s, 'claimed', now(), '', '{}', '{}')",
        (number,),
    )
