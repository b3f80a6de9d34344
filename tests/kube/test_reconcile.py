"""What follows from a resource and what was seen, as pure functions."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from client.errors import ApiError, ClientError, Unreachable, WrongField, api_error
from kube.documents import documents_in, work_in
from kube.metrics import REGISTRY
from kube.reconcile import declared, job, pool, scaling
from kube.reconcile.deployment import Agents, change_of, deployment
from kube.reconcile.job import FINALIZER, FORCE_ANNOTATION, Step, first_step, next_step
from kube.reconcile.refusals import NotTaken, Refusal, refusal_of_declaration, refusal_of_job
from kube.resources import AI_JOB, AI_WORKER_POOL, KINDS, AIWorkerPoolSpec, Kind
from tests.kube.admission import ROOT, load

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AGENTS = Agents("control.example:8081", "registry.example.com/daef:1")


def resource(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    given = {"name": "one", "namespace": "default", "uid": "u-1", "generation": 1}
    given |= {"creationTimestamp": "2026-01-02T03:04:05Z", **metadata}
    return {
        "apiVersion": "daef.io/v1alpha1",
        "kind": "AIJob",
        "metadata": given,
        "spec": spec or {},
    }


def kept(spec: dict[str, Any] | None = None, name: str = "", **metadata: Any) -> dict[str, Any]:
    made = resource(spec, finalizers=[FINALIZER], **metadata)
    return {**made, "status": {"jobName": name, "observedGeneration": 1}} if name else made


def document(state: str = "Running", running: int = 0, **more: Any) -> dict[str, Any]:
    counts = {"total": 4, "blocked": 0, "queued": 0, "running": running, "succeeded": 3}
    progress = {**counts, "dead_lettered": 1, "cancelled": 0, "percent": 100.0}
    return {
        "id": "job-7",
        "uid": "0192-7",
        "status": state,
        "reason": "WithinTolerance" if state in job.ENDS else "Running",
        "message": "",
        "policy": "enterprise-default@1",
        "pool": "default",
        "progress": progress,
        "stages": [{"name": f"s-{number}", **progress} for number in range(20)],
        "usage": {"input_tokens": 10, "output_tokens": 2},
        "cost_usd": 0.0014211,
        "budget": {"reserved_usd": 0.0},
        "started_at": "2026-01-02T03:04:00Z",
        "finished_at": None,
        **more,
    }


DELETED: dict[str, Any] = {"deletionTimestamp": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (resource(), Step.FINALIZE),
        (kept(), Step.SUBMIT),
        (kept({"suspend": True}), Step.FIND),
        (kept({"cancel": True}), Step.FIND),
        (kept(name="job-7"), None),
        (kept(**DELETED), Step.FIND),
        (kept(name="job-7", **DELETED), None),
        (kept(name="job-7", annotations={FORCE_ANNOTATION: "true"}, **DELETED), Step.FORCE),
        (kept(name="job-7", annotations={FORCE_ANNOTATION: "no"}, **DELETED), None),
        (resource(**DELETED), Step.OBSERVE),
    ],
)
def test_the_first_step_never_submits_without_the_finalizer(given, step):
    assert first_step(given, NOW) is step


def test_a_job_is_looked_for_when_its_key_may_be_forgotten():
    assert first_step(kept(), NOW + timedelta(hours=11)) is Step.SUBMIT
    assert first_step(kept(), NOW + timedelta(hours=13)) is Step.FIND


@pytest.mark.parametrize(
    ("given", "found", "step"),
    [
        (kept(name="job-7"), document(), Step.OBSERVE),
        (kept({"cancel": True}, "job-7"), document(), Step.CANCEL),
        (kept({"suspend": True}, "job-7"), document(), Step.SUSPEND),
        (kept({"suspend": True}, "job-7"), document("Suspended"), Step.OBSERVE),
        (kept(name="job-7"), document("Suspended"), Step.OBSERVE),
        (kept(name="job-7", generation=2), document("Suspended"), Step.RESUME),
        (kept(name="job-7", **DELETED), document(), Step.CANCEL),
        (kept(name="job-7", **DELETED), document("Cancelled", running=1), Step.OBSERVE),
        (kept(name="job-7", **DELETED), document("Cancelled"), Step.RELEASE),
        (kept(name="job-7", **DELETED), None, Step.RELEASE),
        (kept({"cancel": True}, "job-7"), document("Succeeded"), Step.OBSERVE),
    ],
)
def test_the_next_step_waits_until_nothing_runs_before_it_lets_go(given, found, step):
    assert next_step(given, found) is step


def told(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def fits(kind: Kind, status: dict[str, Any], spec: dict[str, Any]) -> None:
    """The definition takes the status, and every reason is of the closed list."""
    stored = load()[kind.plural].admit(
        {"metadata": {"name": "one"}, "spec": spec, "status": status}
    )
    assert stored["status"] == status
    reasons = {each.name: each.reasons for each in kind.conditions}
    assert [
        each for each in status["conditions"] if each["reason"] not in reasons[each["type"]]
    ] == []


CHAT = {"type": "Chat", "input": "Why?"}


def test_a_job_that_ended_is_complete_only_when_nothing_of_it_runs():
    going = told(job.status_of(kept(), document("Cancelled", running=1), [], NOW))
    assert going["Complete"] == ("False", "InProgress")
    done = job.status_of(kept(), document("PartiallySucceeded"), [], NOW)
    assert told(done)["Succeeded"] == told(done)["Complete"] == ("True", "WithinTolerance")
    assert (done["completions"], done["costUSD"]) == ("4/4", "0.001421")
    assert done["spend"]["settledMicros"] == 1422
    assert len(done["stages"]) == job.MOST_STAGES
    fits(AI_JOB, done, CHAT)


@pytest.mark.parametrize("state", ["Running", "Suspended", "Failed"])
def test_every_status_of_a_job_fits_its_definition(state):
    fits(AI_JOB, job.status_of(kept(), document(state), [], NOW), CHAT)


@pytest.mark.parametrize("reason", ["PolicyDenied", "TenantMismatch", "FabricUnavailable"])
def test_a_job_that_was_not_taken_ends_unless_it_may_be_taken_later(reason):
    refusal = Refusal(reason, "why")
    status = job.status_without_job(kept(), refusal, NOW)
    assert told(status)["Complete"][0] == ("False" if refusal.passes else "True")
    fits(AI_JOB, status, CHAT)


@pytest.mark.parametrize("deleted", [{}, DELETED])
def test_a_job_that_nobody_can_tell_about_says_why_and_how_it_is_let_go(deleted: dict[str, Any]):
    known = job.status_of(kept(), document(), [], NOW)
    seen = {**kept(name="job-7", **deleted), "status": known}
    status = job.status_unseen(seen, Refusal("FabricUnavailable", "why"), NOW)
    assert told(status)["Running"] == ("Unknown", "FabricUnavailable")
    assert status["tasks"] == known["tasks"]
    assert (FORCE_ANNOTATION in status["message"]) == bool(deleted)
    assert job.event_of(known, status) == ("FabricUnavailable", status["message"], True)
    fits(AI_JOB, status, CHAT)


@pytest.mark.parametrize("spec", [{"suspend": True}, {"cancel": True}])
def test_a_job_that_was_never_submitted_has_a_status_too(spec):
    status = job.status_held_back(kept(spec), NOW)
    assert told(status)["Complete"][0] == str("cancel" in spec)
    fits(AI_JOB, status, {**CHAT, **spec})


def test_a_condition_keeps_its_time_while_its_status_stays():
    first = job.status_of(kept(), document(), [], NOW)
    later = NOW + timedelta(hours=1)
    again = job.status_of({**kept(), "status": first}, document(), [], later)
    assert again == first
    ended = job.status_of({**kept(), "status": first}, document("Succeeded"), [], later)
    times = {each["type"]: each["lastTransitionTime"] for each in ended["conditions"]}
    assert times["Complete"] == "2026-01-02T04:04:05Z"
    assert times["Accepted"] == "2026-01-02T03:04:05Z"


def test_a_resource_is_kept_for_its_time_after_the_end():
    status = job.status_of(kept(), document("Succeeded"), [], NOW)
    given = {**kept({"ttlSecondsAfterFinished": 60}), "status": status}
    assert not job.is_expired(given, NOW + timedelta(seconds=59))
    assert job.is_expired(given, NOW + timedelta(seconds=60))
    assert job.seconds_left({**given, "spec": {}}, NOW) is None


def error(code: str, status: int, field: str = "") -> ApiError:
    made = api_error(status, {"code": code, "detail": "why"})
    made.fields = (WrongField(field, "what"),) if field else ()
    return made


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (error("policy_denied", 403), "PolicyDenied"),
        (error("plan_refused", 422), "PlanRefused"),
        (error("invalid_request", 400, "policy"), "PolicyNotFound"),
        (error("invalid_request", 400, "input"), "InvalidInput"),
        (error("state_conflict", 409, "plan_hash"), "PlanHashMismatch"),
        (error("scope_missing", 403), "Unauthorized"),
        (error("unauthenticated", 401), "Unauthorized"),
        (error("rate_limited", 429), "FabricUnavailable"),
        (error("request_in_flight", 409), "FabricUnavailable"),
        (error("internal", 500), "FabricUnavailable"),
        (Unreachable("gone"), "FabricUnavailable"),
    ],
)
def test_every_answer_of_the_fabric_has_its_reason(refused: ClientError, reason: str):
    assert refusal_of_job(refused).reason == reason


def test_what_a_config_map_holds_is_read_by_its_keys_ending():
    rows = documents_in("no,body\n7,one\n", "a.csv", {"text_column": "body", "id_column": "no"})
    assert rows == [{"id": "7", "text": "one"}]
    assert work_in('{"a": 1}\n\n[2]\n', "t.jsonl", "tasksFrom") == [{"a": 1}, [2]]
    with pytest.raises(NotTaken, match=r"tasksFrom: t\.json is not JSON"):
        work_in("{", "t.json", "tasksFrom")
    with pytest.raises(NotTaken, match=r"documentsFrom: a\.csv has no column 'x'"):
        documents_in("no,body\n", "a.csv", {"text_column": "x"})


@pytest.mark.parametrize("text", ["[NaN]", '["\\ud800"]'])
def test_what_cannot_be_sent_is_refused_and_not_tried_for_ever(text: str):
    with pytest.raises(NotTaken, match=r"tasksFrom: t\.json holds what JSON cannot"):
        work_in(text, "t.json", "tasksFrom")
    with pytest.raises(NotTaken, match=r"documentsFrom: t\.json"):
        documents_in(f'[{{"text": "a", "metadata": {text}}}]', "t.json", {})


# ── pools ─────────────────────────────────────────────────────────────────────────────────────────

BOUNDS = scaling.Bounds(1, 5, 2, 300.0)


@pytest.mark.parametrize(
    ("tasks", "replicas", "reason"),
    [
        (0, 1, "TooFewReplicas"),
        (4, 2, "WithinBounds"),
        (5, 3, "WithinBounds"),
        (99, 5, "TooManyReplicas"),
    ],
)
def test_agents_are_counted_from_the_work_within_the_bounds(tasks, replicas, reason):
    assert scaling.wanted(tasks, BOUNDS) == scaling.Scale(replicas, reason)


def test_a_pool_grows_at_once_and_shrinks_after_a_whole_window_of_less():
    window = scaling.Window(since=0.0)

    def at(now: float, current: int, tasks: int) -> int:
        return scaling.stabilized(current, scaling.wanted(tasks, BOUNDS), BOUNDS, window, now)

    assert at(0, 1, 8) == 4
    assert at(100, 4, 2) == 4
    assert at(290, 4, 6) == 4
    assert at(310, 4, 2) == 3
    assert at(595, 3, 2) == 1


def test_a_new_leader_takes_no_agent_away_before_its_window_is_full():
    window = scaling.Window(since=1000.0)
    scale = scaling.wanted(0, BOUNDS)
    assert scaling.stabilized(5, scale, BOUNDS, window, 1001.0) == 5
    assert scaling.stabilized(5, scale, BOUNDS, window, 1301.0) == 1


def test_more_agents_than_the_bound_go_without_waiting():
    window = scaling.Window(since=0.0)
    assert scaling.stabilized(9, scaling.wanted(99, BOUNDS), BOUNDS, window, 1.0) == 5


def test_idle_pods_are_the_first_to_go():
    assert scaling.deletion_costs([("a", ""), ("b", "2"), ("c", "3")], {"a": 4, "c": 3}) == [
        ("a", "4"),
        ("b", "0"),
    ]


def pool_resource(**spec: Any) -> dict[str, Any]:
    return {**resource(spec), "kind": "AIWorkerPool"}


def test_a_deployment_is_left_alone_unless_something_else_is_asked_for():
    spec = AIWorkerPoolSpec(replicas=2)
    made = deployment(pool_resource(), spec, AGENTS)
    assert change_of(made, made) is None
    grown = msgspec.json.decode(msgspec.json.encode(made))
    grown["spec"]["template"]["spec"]["schedulerName"] = "added-by-the-cluster"
    assert change_of(grown, made) is None
    more = deployment(pool_resource(), msgspec.structs.replace(spec, replicas=3), AGENTS)
    assert change_of(made, more) == {"spec": {"replicas": 3}}
    other = deployment(pool_resource(), msgspec.structs.replace(spec, slots=7), AGENTS)
    changed = change_of(made, other)
    assert changed is not None
    [container] = changed["spec"]["template"]["spec"]["containers"]
    assert {"name": "DAEF_SLOTS", "value": "7"} in container["env"]


def test_agents_of_a_pool_are_confined_and_get_secrets_by_reference():
    keys = [{"name": "VLLM", "secretKeyRef": {"name": "keys", "key": "vllm"}}]
    spec = msgspec.convert({"drainSeconds": 90, "modelKeys": keys}, AIWorkerPoolSpec)
    pod = deployment(pool_resource(), spec, AGENTS)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] == 105
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    by_name = {each["name"]: each for each in container["env"]}
    assert by_name["DAEF_MODEL_KEY_VLLM"]["valueFrom"]["secretKeyRef"]["name"] == "keys"
    assert by_name["DAEF_DRAIN_SECONDS"]["value"] == "90"


def test_the_status_of_a_pool_counts_what_was_seen_and_fits_its_definition():
    worker = {"state": "Active", "slots": 4, "busy": 3}
    workers = [worker, {**worker, "state": "Draining"}, {**worker, "state": "Lost"}]
    limited = Refusal("TooManyReplicas", "more")
    found = {"spec": {"replicas": 2}, "status": {"replicas": 2, "readyReplicas": 1}}
    seen = pool.Observed(found, 0, workers, 6, None, limited, NOW)
    status = pool.status_of(pool_resource(replicas=2), seen, NOW)
    assert (status["slots"], status["busySlots"], status["drainingReplicas"]) == (8, 6, 1)
    assert told(status)["Ready"] == ("False", "AgentsMissing")
    assert told(status)["ScalingLimited"] == ("True", "TooManyReplicas")
    fits(AI_WORKER_POOL, status, {"replicas": 2})


# ── what is declared ──────────────────────────────────────────────────────────────────────────────


def test_the_oldest_resource_declares_a_name():
    old = resource(creationTimestamp="2026-01-01T00:00:00Z", uid="old", namespace="b")
    new = resource(creationTimestamp="2026-01-02T00:00:00Z", uid="new", namespace="a")
    assert declared.rightful(new, [new, old]) is old
    assert declared.rightful(old, [new, old]) is old
    going = {**old, "metadata": {**old["metadata"], **DELETED}}
    assert declared.rightful(new, [new, going]) is new


def test_a_name_is_free_only_when_the_endpoint_that_had_it_is_switched_off():
    old = resource(uid="old", finalizers=[declared.FINALIZER], **DELETED)
    new = resource(creationTimestamp="2026-01-03T00:00:00Z", uid="new", namespace="a")
    assert declared.rightful(new, [new, old]) is old


@pytest.mark.parametrize("kind", KINDS[2:], ids=lambda kind: kind.name)
@pytest.mark.parametrize("code", ["", "invalid_request", "internal"])
def test_every_status_of_what_is_declared_fits_its_definition(kind: Kind, code: str):
    refused = {"invalid_request": 400, "internal": 500}
    refusal = refusal_of_declaration(error(code, refused[code])) if code else None
    status = declared.status_of(resource(), refusal, {"name": "one"}, NOW)
    assert told(status)["Ready"][0] == str(not code)
    spec = {"backend": "Embedded", "models": ["small"]} if kind.collection == "endpoints" else {}
    fits(kind, status, spec)


def test_every_metric_of_the_operator_is_in_its_page_and_no_other():
    page = (ROOT / "docs" / "architecture" / "kubernetes-crd-native.md").read_text("utf-8")
    listed = re.findall(r"^\| `(daef_operator_\w+)` \| (\w+) \|", page, re.MULTILINE)
    known = [
        (family.name + "_total" * (family.type == "counter"), family.type)
        for family in REGISTRY.collect()
    ]
    assert sorted(listed) == sorted(known)
