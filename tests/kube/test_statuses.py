"""Fields and the operator: it knows each, and what it writes into a status is stored and small."""

import re
from collections.abc import Iterator

import msgspec
import pytest

from kube.resources import (
    KINDS,
    AIJobStatus,
    AIWorkerPoolStatus,
    Condition,
    DeclaredStatus,
    ExecutionPolicyStatus,
    Kind,
)
from kube.resources.aijob_status import Failure, Spend, StageStatus, TaskCounts, TokenUsage
from kube.resources.rest import rest_places
from tests.kube.admission import ROOT, Schema, load
from tests.kube.samples import USUAL, wrong

NOW = "2026-11-25T09:00:00Z"
HOLDS = Condition(type="Ready", status="True", reason="Declared", last_transition_time=NOW)
FINISHED = AIJobStatus(
    observed_generation=2,
    job_name="job-12",
    job_uid="0192d5a0-0000-7000-8000-000000000000",
    state="PartiallySucceeded",
    reason="WithinTolerance",
    policy="enterprise-default@1",
    pool="default",
    completions="500/500",
    tasks=TaskCounts(total=500, succeeded=493, dead_lettered=7),
    percent=100,
    stages=[StageStatus(name="embed", total=63, succeeded=63)],
    usage=TokenUsage(input_tokens=912_331, output_tokens=80_441),
    spend=Spend(settled_micros=1_421_000),
    cost_usd="1.421",
    failures=[Failure(task="job-12-7", code="invalid_input", message="The text is empty.")],
    start_time=NOW,
    completion_time=NOW,
    conditions=[HOLDS],
)
STATUSES: dict[str, msgspec.Struct] = {
    "AIJob": FINISHED,
    "AIWorkerPool": AIWorkerPoolStatus(
        observed_generation=1, replicas=3, selector="daef.io/pool=night", conditions=[HOLDS]
    ),
    "ModelEndpoint": DeclaredStatus(observed_generation=1, conditions=[HOLDS]),
    "ExecutionPolicy": ExecutionPolicyStatus(revision=4, conditions=[HOLDS]),
    "TenantQuota": DeclaredStatus(observed_generation=1, conditions=[HOLDS]),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_status_of_the_types_is_stored_as_it_is(kind: Kind):
    status = msgspec.to_builtins(STATUSES[kind.name])
    stored = load()[kind.plural].admit({**wrong(kind, USUAL[kind.name]), "status": status})
    assert stored["status"] == status
    assert msgspec.convert(stored["status"], kind.status) == STATUSES[kind.name]


def test_the_largest_status_of_a_job_is_small():
    """A status is written often, and etcd keeps each version for a while."""
    stages = [StageStatus(name="s" * 255, total=2**31 - 1) for _ in range(16)]
    failures = [Failure(task="t" * 63, code="c" * 63, message="m" * 256) for _ in range(10)]
    status = msgspec.structs.replace(
        FINISHED,
        message="m" * 1024,
        stages=stages,
        failures=failures,
        usage=TokenUsage(input_tokens=2**53, output_tokens=2**53),
        conditions=[HOLDS] * 8,
    )
    assert len(msgspec.json.encode(status)) < 16_384


# ── what the operator does ────────────────────────────────────────────────────────────────────────


PASSED_ON = {"price", "waitBounds", "effect"}
"""Parts whose fields are all REST's, and what goes into a pod with what is around it."""


def operators_words() -> set[str]:
    """Every word in the operator's code, but the resources themselves and what is made of them."""
    apart = {"crds.py", "crd_page.py", "schema.py"}
    files = [path for path in (ROOT / "kube").rglob("*.py") if path.name not in apart]
    texts = [path.read_text("utf-8") for path in files if "resources" not in path.parts]
    return set(re.findall(r"\w+", "\n".join(texts)))


def names(schema: Schema) -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield name
        yield from names(part.get("items", part))


def in_snake_case(name: str) -> str:
    return re.sub(r"([a-z])([A-Z]+)", r"\1_\2", name).lower()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_that_rest_does_not_have_is_known_to_the_operator(kind: Kind):
    in_rest = {path.rpartition(".")[2] for path in rest_places(kind.spec)}
    schema = load()[kind.plural].schema["properties"]
    fields = {*names(schema["spec"]), *names(schema["status"])} - in_rest
    known = operators_words()
    unknown = {each for each in fields if not {each, in_snake_case(each)} & known}
    assert unknown - PASSED_ON == set()
