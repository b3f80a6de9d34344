"""The allow-list of the agent's RQ worker: only a ticket of its pool does anything."""

import json

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from workeragent.worker import TICKET_FUNCTION, refusal, run_ticket

TICKET: list[object] = [TICKET_FUNCTION, None, [], {"v": 1, "pool": "default"}]


def job(call: object) -> Job:
    made = Job("j", connection=redis.Redis(), serializer=JSONSerializer)
    made.data = call if isinstance(call, bytes) else json.dumps(call).encode()
    return made


def test_a_ticket_of_the_pool_is_accepted():
    assert refusal(job(TICKET), "default") == ""


@pytest.mark.parametrize(
    "call",
    [
        ["os.system", None, ["true"], {}],
        ["os.system", None, [], {"v": 1, "pool": "default"}],
        [TICKET_FUNCTION, "instance", [], {"v": 1, "pool": "default"}],
        [TICKET_FUNCTION, None, ["more"], {"v": 1, "pool": "default"}],
        [TICKET_FUNCTION, None, [], {"v": 2, "pool": "default"}],
        [TICKET_FUNCTION, None, [], {"v": 1, "pool": "another"}],
        [TICKET_FUNCTION, None, [], {"v": 1, "pool": "default", "more": 1}],
        {"not": "a list"},
        [],
        b"\x80\x04pickle",
        b"[" * 100_000,
    ],
)
def test_anything_else_is_refused(call):
    assert refusal(job(call), "default")


@pytest.mark.parametrize("name", ["success", "failure", "stopped"])
def test_a_ticket_with_a_callback_is_refused(name):
    ticket = job(TICKET)
    setattr(ticket, f"_{name}_callback_name", "os.system")
    assert refusal(ticket, "default") == "carries a callback"


def test_an_ordinary_rq_worker_cannot_run_a_ticket():
    with pytest.raises(RuntimeError, match="python -m workeragent"):
        run_ticket(v=1, pool="default")
