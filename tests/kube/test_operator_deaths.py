"""Operators that die, wait for each other, or find nobody: the tests that take their time."""

import time

import pytest

from tests.acceptance.fabrics import wait_until
from tests.kube.operators import echo_job, echo_tasks, is_complete, jobs_of, resource, status

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]


def test_an_operator_that_dies_between_submission_and_status_submits_once(own, fabric):
    server, api, start = own
    first = start()
    wait_until(first.leads)
    server.faults.before_status = lambda _: first.process.kill()
    api.make(echo_job("orphan", tasks="one-task"))
    first.process.wait(30)
    [submitted] = jobs_of(fabric, "orphan")
    server.faults.before_status = None
    # What the next one submits under the same key is another body by now.
    api.change("ConfigMap", "one-task", echo_tasks("one-task", 2))
    second = start()
    wait_until(lambda: is_complete(api, "orphan"))
    assert [each["id"] for each in jobs_of(fabric, "orphan")] == [submitted["id"]]
    assert status(api, "AIJob", "orphan")["jobName"] == submitted["id"]
    assert second.end() == 0


def test_a_deleted_job_that_was_never_written_down_is_found_and_cancelled(own, fabric):
    server, api, start = own
    first = start()
    wait_until(first.leads)
    server.faults.before_status = lambda _: first.process.kill()
    api.make(echo_tasks("endless", 2, sleep_ms=20_000))
    api.make(echo_job("unknown", tasks="endless"))
    first.process.wait(30)
    server.faults.before_status = None
    api.delete("AIJob", "unknown")
    start()
    wait_until(lambda: api.get("AIJob", "unknown") is None)
    assert jobs_of(fabric, "unknown")[0]["status"] == "Cancelled"


def test_an_operator_that_dies_after_it_made_a_deployment_makes_no_second(own, fabric):
    server, api, start = own
    first = start()
    wait_until(first.leads)
    server.faults.after_create = lambda _: first.process.kill()
    api.make(resource("AIWorkerPool", "lone", replicas=2))
    first.process.wait(30)
    server.faults.after_create = None
    start()
    wait_until(lambda: status(api, "AIWorkerPool", "lone").get("conditions"))
    assert len(api.all("Deployment")) == 1
    api.delete("AIWorkerPool", "lone")
    wait_until(lambda: api.all("Deployment") == [])


def test_one_of_two_operators_leads_and_the_other_takes_over(own, fabric):
    _, _, start = own
    first = start()
    wait_until(first.leads)
    second = start()
    wait_until(lambda: second.probe("/readyz")[0] == 200)
    assert not second.leads()
    first.kill()
    wait_until(second.leads)
    assert second.end() == 0
    third = start()
    began = time.monotonic()
    wait_until(third.leads)
    assert time.monotonic() - began < 15  # it was released, so nobody waits for its end


def test_while_the_fabric_is_away_jobs_wait_and_deletion_can_be_forced(own, fabric):
    _, api, start = own
    start(DAEF_URL="http://127.0.0.1:9")
    api.make(echo_job("stranded", tasks="one-task"))
    wait_until(
        lambda: api.condition("AIJob", "stranded", "Accepted").get("reason") == "FabricUnavailable"
    )
    api.delete("AIJob", "stranded")
    api.change(
        "AIJob", "stranded", {"metadata": {"annotations": {"daef.io/force-finalize": "true"}}}
    )
    wait_until(lambda: api.get("AIJob", "stranded") is None)
    assert "FinalizerForced" in api.events("stranded")
