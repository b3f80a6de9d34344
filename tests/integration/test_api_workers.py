"""The fleet over REST, and agents that are drained."""

import pytest

from audit.models import AuditEntry
from jobs.actions import fleet
from jobs.api import operator_shapes
from jobs.transitions.sql import execute
from tests.integration.gateway import TOKENS, Gateway, checked, problem
from tests.integration.scenario import register, statuses, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

ADDRESS = "/v1/admin/workers"


@pytest.fixture
def olga(settings):
    settings.DAEF_API_TOKENS = TOKENS
    return Gateway("olga-token")


def listed(gateway, query=""):
    return checked(gateway.get(ADDRESS + query), operator_shapes.FleetWorkerList)


def drain(gateway, hand, document=None):
    return gateway.post(f"{ADDRESS}/{hand.worker.pk}/drain", document)


def entries():
    return list(AuditEntry.objects.order_by("number").values_list("action", "result", "target"))


def test_a_worker_is_listed_with_what_it_holds(olga):
    submit_echo(3)
    hand = register(slots=4, kinds=["echo"], models=["m"])
    hand.claim(2)
    (worker,) = listed(olga)["items"]
    assert 0 <= worker.pop("oldest_lease_seconds") < 60
    assert 0 <= worker.pop("heartbeat_age_seconds") < 60
    assert worker == {
        "id": hand.worker.pk,
        "incarnation": str(hand.worker.incarnation),
        "node": "node-1",
        "pool": "default",
        "state": "Active",
        "slots": 4,
        "busy": 2,
        "leases": 1,
        "version": "test",
        "kinds": ["echo"],
        "models": ["m"],
    }


def test_workers_are_filtered_and_paged(olga):
    register(pool="gpu")
    lost, gone = register(), register()
    fleet.deregister(gone.worker)
    execute(
        "update worker set heartbeat_at = now() - interval '1 hour' where id = %s",
        (lost.worker.pk,),
    )
    assert listed(olga)["total"] == 2
    assert [w["id"] for w in listed(olga, "?state=Lost")["items"]] == [lost.worker.pk]
    assert [w["pool"] for w in listed(olga, "?pool=gpu")["items"]] == ["gpu"]
    page = listed(olga, "?limit=1")
    assert page["next"] == f"{ADDRESS}?limit=1&offset=1"
    assert listed(olga, "?limit=1&offset=1")["items"] != page["items"]


def test_a_drained_worker_gets_nothing_more_and_finishes_what_it_has(olga):
    job = submit_echo(3)
    hand = register()
    claimed = hand.claim(1)
    drained = checked(drain(olga, hand), operator_shapes.FleetWorker)
    assert (drained["state"], drained["busy"]) == ("Draining", 1)
    pulse = hand.beat(claimed)
    assert (pulse.drain, pulse.work_waiting, pulse.gone) == (True, False, [])
    assert hand.claim(2) == []
    hand.succeed(claimed)
    assert statuses(job) == ["Succeeded", "Queued", "Queued"]
    fleet.deregister(hand.worker)
    assert listed(olga)["items"] == []
    assert entries() == [("worker_drain", "ok", f"worker-{hand.worker.pk}")]


def test_draining_again_changes_nothing_and_leaves_no_second_entry(olga):
    hand = register()
    assert drain(olga, hand).json()["state"] == "Draining"
    assert drain(olga, hand).status_code == 200
    assert len(entries()) == 1


def test_a_worker_that_has_left_or_never_was_can_not_be_drained(olga):
    hand = register()
    fleet.deregister(hand.worker)
    problem(drain(olga, hand), 409, "state_conflict")
    problem(olga.post(f"{ADDRESS}/999999/drain"), 404)
    assert [entry[1] for entry in entries()] == ["refused", "refused"]
    for nonsense in ("0", "-1", "x", "1" * 19, "%00"):
        problem(olga.post(f"{ADDRESS}/{nonsense}/drain"), 404)
    assert len(entries()) == 2


def test_the_reason_for_a_drain_is_kept_in_the_audit_log(olga):
    assert drain(olga, register(), {"reason": "new kernel"}).status_code == 200
    assert AuditEntry.objects.get().reason == "new kernel"


def test_a_drain_needs_no_body_and_no_media_type(olga):
    hand = register()
    done = olga.client.post(f"{ADDRESS}/{hand.worker.pk}/drain", b"", content_type="")
    assert done.json()["state"] == "Draining"
    assert AuditEntry.objects.get().reason == ""


@pytest.mark.parametrize("body", [{"reason": "x" * 501}, {"reason": 7}, {"why": "x"}, b"[]", b"{"])
def test_a_drain_with_a_bad_body_is_refused_and_drains_nothing(olga, body):
    hand = register()
    problem(drain(olga, hand, body), 400)
    assert [worker["state"] for worker in listed(olga)["items"]] == ["Active"]
