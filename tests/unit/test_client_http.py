"""The client's requests: retries, keys, errors, event streams, uploads."""

import pytest

from client import Client, Conflict, InvalidRequest, NotAllowed, NotFound, RateLimited, Unreachable
from client.errors import Usage
from client.events import parse_events
from client.transport import Transport
from tests.unit.client_door import Answer, Door, job, problem


@pytest.fixture
def door():
    door = Door()
    yield door
    door.close()


@pytest.fixture
def naps():
    return []


@pytest.fixture
def client(door, naps):
    with Client(door.url, "secret", retry_seconds=20, sleep=naps.append) as client:
        yield client


def test_a_submit_whose_connection_breaks_is_sent_again_with_the_same_key(door, client):
    door.tell("/v1/jobs", Answer(cut=True), Answer(cut=True), Answer(job(), 201))
    assert client.jobs.submit({"type": "chat", "input": "hi"})["id"] == "job-1"
    keys = {request.headers["idempotency-key"] for request in door.requests}
    assert len(door.requests) == 3
    assert len(keys) == 1


def test_two_submits_have_different_keys(door, client):
    door.tell("/v1/jobs", Answer(job(), 201))
    for _ in range(2):
        client.jobs.submit({"type": "chat", "input": "hi"})
    assert len({request.headers["idempotency-key"] for request in door.requests}) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(door, client, naps, status):
    busy = problem(status, "busy", "Come back.", headers={"Retry-After": "7"})
    door.tell("/v1/jobs/job-1", busy, Answer(job()))
    client.jobs.get("job-1")
    assert naps == [7.0]


def test_a_request_in_flight_is_waited_for(door, client, naps):
    answer = problem(409, "request_in_flight", "Wait.", headers={"Retry-After": "1"})
    door.tell("/v1/jobs", answer, Answer(job(), 201))
    client.jobs.submit({"type": "chat", "input": "hi"})
    assert naps == [1.0]


def test_a_retry_after_beyond_the_limit_is_an_error_at_once(door, client, naps):
    door.tell("/v1/jobs/job-1", problem(429, "x", "Later.", headers={"Retry-After": "999"}))
    with pytest.raises(RateLimited) as caught:
        client.jobs.get("job-1")
    assert (caught.value.retry_after, naps) == (999.0, [])


def test_a_conflict_is_not_tried_again(door, client):
    door.tell("/v1/jobs/job-1/resume", problem(409, "state_conflict", "It has ended."))
    with pytest.raises(Conflict):
        client.jobs.resume("job-1")
    assert len(door.requests) == 1


def test_a_refusal_names_the_field_and_the_remedy(door, client):
    wrong = [("priority", "write one of interactive, standard, batch")]
    door.tell("/v1/jobs", problem(400, "invalid_request", "One field is wrong.", fields=wrong))
    with pytest.raises(InvalidRequest) as caught:
        client.jobs.submit({"type": "chat"})
    assert "priority: write one of interactive, standard, batch" in str(caught.value)
    assert caught.value.request_id == "r-1"


def test_a_field_that_the_detail_names_is_not_told_twice(door, client):
    wrong = [("input", "is missing")]
    door.tell("/v1/jobs", problem(400, "invalid_request", "input: is missing", fields=wrong))
    with pytest.raises(InvalidRequest) as caught:
        client.jobs.submit({"type": "chat"})
    assert str(caught.value) == "input: is missing"


def test_a_missing_token_says_which_variable_to_set(door, client):
    door.tell("/v1/jobs", problem(401, "unauthenticated", "A valid token is needed."))
    with pytest.raises(NotAllowed, match="DAEF_TOKEN"):
        client.jobs.list()


def test_an_id_never_reaches_another_address(door, client):
    with pytest.raises(NotFound):
        client.jobs.get("../admin/audit?x=")
    assert door.requests[0].path == "/v1/jobs/..%2Fadmin%2Faudit%3Fx%3D"


def test_nothing_listening_says_how_to_start_a_fabric(naps):
    with (
        Client("http://127.0.0.1:9", retry_seconds=0, sleep=naps.append) as client,
        pytest.raises(Unreachable, match="make up"),
    ):
        client.jobs.list()


class Hours:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_fabric_that_was_never_there_is_given_up_soon():
    hours = Hours()
    transport = Transport("http://127.0.0.1:9", retry_seconds=600, sleep=hours.sleep, clock=hours)
    with pytest.raises(Unreachable):
        transport.send("GET", "/v1/jobs")
    assert 1 < hours.now <= 3


def test_a_fabric_that_goes_away_is_waited_for(door):
    hours = Hours()
    transport = Transport(door.url, retry_seconds=600, sleep=hours.sleep, clock=hours)
    door.tell("/v1/jobs", Answer({"items": []}, headers={"Connection": "close"}))
    transport.send("GET", "/v1/jobs")
    door.close()
    with pytest.raises(Unreachable):
        transport.send("GET", "/v1/jobs")
    assert 590 < hours.now <= 600


def test_an_answer_that_is_not_json_says_that_this_is_not_daef(door, client):
    door.tell("/v1/jobs", Answer("<html>", 200))
    with pytest.raises(Unreachable, match="not DAEF"):
        client.jobs.list()


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(Usage, match=r"http://127\.0\.0\.1:8080"):
        Client("localhost:8080")


def test_a_broken_event_stream_goes_on_behind_the_last_event(door, client):
    first = 'retry: 2000\n\nid: 4\nevent: claimed\ndata: {"id": 4}\n\n'
    rest = ': still here\n\nid: 5\nevent: settled\ndata: {"id": 5}\n\nevent: end\ndata: {}\n\n'
    door.tell("/v1/jobs/job-1/events", Answer(first, cut=True), Answer(rest))
    events = list(client.jobs.events("job-1"))
    assert [event.kind for event in events] == ["claimed", "settled", "end"]
    assert [request.headers.get("last-event-id") for request in door.requests] == [None, "4"]


def test_events_are_polled_for_where_no_stream_is_free(door, client):
    door.tell("/v1/jobs/job-1/events", problem(503, "unavailable", "32 streams already."))
    ended = job("Succeeded", reason="AllSucceeded")
    door.tell("/v1/jobs/job-1", Answer(job()), Answer(job()), Answer(ended))
    events = list(client.jobs.events("job-1"))
    assert [event.kind for event in events] == ["polled", "polled", "end"]
    assert events[-1].data["reason"] == "AllSucceeded"


def test_an_event_of_several_data_lines_is_one_document():
    lines = ["event: note", 'data: {"a":', "data: 1}", ""]
    assert next(parse_events(lines)).data == {"a": 1}


def test_waiting_ends_with_the_job(door, client):
    door.tell("/v1/jobs/job-1", Answer(job()), Answer(job("Failed")))
    assert client.jobs.wait("job-1")["status"] == "Failed"


def test_an_upload_is_a_form_with_one_file(door, client, tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_text("id,text\n1,hello\n")
    door.tell("/v1/files", Answer({"id": "file-1"}, 201))
    assert client.files.upload(path)["id"] == "file-1"
    assert b'name="file"; filename="tickets.csv"' in door.requests[0].body
    assert b"text/csv" in door.requests[0].body


def test_empty_filters_are_left_out(door, client):
    door.tell("/v1/jobs/job-1/tasks", Answer({"items": []}))
    client.jobs.tasks("job-1", status="", limit=None, offset=0)
    assert door.requests[0].path == "/v1/jobs/job-1/tasks?offset=0"


def test_the_token_goes_as_bearer(door, client):
    door.tell("/v1/jobs", Answer({"items": []}))
    client.jobs.list()
    assert door.requests[0].headers["authorization"] == "Bearer secret"


def test_results_that_broke_off_are_no_whole_results(door, client):
    told = '{"task":"job-1-1","error":null}\n{"error":{"code":"unavailable","message":"More."}}\n'
    door.tell("/v1/jobs/job-1/results", Answer(told))
    lines = client.jobs.results("job-1")
    assert next(lines).startswith('{"task":"job-1-1"')
    with pytest.raises(Unreachable, match="ended before their end"):
        next(lines)
