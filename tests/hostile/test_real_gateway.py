"""The gateway as `manage.py gateway` starts it, under requests that no library would send."""

import json
import re
import socket
from contextlib import ExitStack

import httpx
import pytest

from daef_site.processes import HTTP_THREADS
from daef_site.receiving import MAX_BODIES
from tests.acceptance.fabrics import wait_until
from tests.hostile.connections import connected, exchange, first_answer
from tests.hostile.raw_requests import CASES, END, HEALTH, HOST, LIST, SUBMIT, Case


def healthy(fabric):
    """Whether /healthz answers; TimeoutError when it does not at all."""
    return exchange(fabric.http, HEALTH + END).status == 200


def answered(answer, status):
    """The answer when it has this status."""
    return answer if answer.status == status else None


def jobs(fabric):
    return json.loads(exchange(fabric.http, LIST + END).body)["total"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_malformed_request_is_answered_and_harms_nobody(fabric, case: Case):
    before = jobs(fabric)
    answer = exchange(fabric.http, case.data, half_close=case.half_close)
    assert answer.status in case.statuses, answer
    if case.ours:
        assert len(answer.problem()["detail"]) > 10
    elif answer.status >= 400:
        assert answer.body == b""
        assert answer.headers["connection"] == "close"
    assert b"HTTP/1.1 200" not in answer.rest, "a second request was smuggled in"
    assert jobs(fabric) == before
    assert healthy(fabric)


def test_pipelined_requests_are_answered_in_order(fabric):
    missing = b"GET /v1/jobs/job-0 HTTP/1.1\r\n" + HOST + b"\r\n"
    with connected(fabric.http) as connection:
        connection.sendall(HEALTH + b"\r\n" + missing + HEALTH + END)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", received)
    assert statuses == [b"200", b"404", b"200"]


def test_a_body_that_waits_for_100_continue_gets_it(fabric):
    with connected(fabric.http) as connection:
        connection.sendall(SUBMIT + b"Content-Length: 2\r\nExpect: 100-continue\r\n" + END)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert first_answer(connection).problem()["code"] == "invalid_request"


SLOW = {
    "bodies": SUBMIT + b"Content-Length: 100\r\n\r\n{",
    "files": b"POST /v1/files?name=a.csv HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: text/csv\r\nContent-Length: 100\r\n\r\ntext",
    "logins": b"POST /admin/login/ HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nusername",
    "headers": b"GET /v1/jobs HTTP/1.1\r\nHost: loc",
    "silence": b"",
}


@pytest.mark.parametrize("half", SLOW.values(), ids=SLOW.keys())
def test_clients_that_stop_halfway_do_not_keep_others_out(fabric, half):
    with ExitStack() as open_connections:
        for _ in range(HTTP_THREADS + 20):
            open_connections.enter_context(connected(fabric.http)).sendall(half)
        for _ in range(3):
            assert healthy(fabric)
        assert httpx.get(f"http://{fabric.http}/v1/jobs", timeout=30).status_code == 200
    submitted = httpx.post(
        f"http://{fabric.http}/v1/jobs", json={"type": "chat", "input": "after"}, timeout=30
    )
    assert submitted.status_code == 201


def test_a_body_beyond_the_slow_ones_is_told_to_come_back(fabric):
    with ExitStack() as open_connections:
        for _ in range(MAX_BODIES + 4):
            open_connections.enter_context(connected(fabric.http)).sendall(SLOW["bodies"])
        whole = SUBMIT + b"Content-Length: 2\r\n" + END + b"{}"
        refused = wait_until(lambda: answered(exchange(fabric.http, whole), 503))
    assert refused.problem()["code"] == "unavailable"
    assert int(refused.headers["retry-after"]) >= 1


def test_readers_that_read_nothing_do_not_keep_others_out(fabric):
    line = b'"' + b"x" * 1000 + b'"\n'
    uploaded = httpx.post(
        f"http://{fabric.http}/v1/files",
        content=line * 20_000,
        headers={"content-type": "application/x-ndjson"},
        timeout=60,
    )
    address = f"/v1/files/{uploaded.json()['id']}/content".encode()
    request = b"GET " + address + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    with ExitStack() as open_connections:
        for _ in range(HTTP_THREADS + 20):
            connection = open_connections.enter_context(connected(fabric.http))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request)
        for _ in range(3):
            assert healthy(fabric)
        refused = wait_until(lambda: answered(exchange(fabric.http, request), 503))
        assert int(refused.headers["retry-after"]) >= 1
    whole = httpx.get(f"http://{fabric.http}{address.decode()}", timeout=60)
    assert len(whole.content) == len(line) * 20_000


def test_1500_idle_connections_keep_nobody_out(fabric):
    with ExitStack() as open_connections:
        for _ in range(1500):
            open_connections.enter_context(connected(fabric.http))
        assert healthy(fabric)
