"""The API keeps to its OpenAPI document under thousands of requests made from it."""

import os
import random
from itertools import cycle

import httpx
import pytest

from tests.hostile.conftest import TOKEN
from tests.hostile.schema_fuzzing import fuzz

SOAK_CASES = 10_000


def seed() -> int:
    """Named by DAEF_FUZZ_SEED, else drawn; in the output of what fails."""
    chosen = int(os.environ.get("DAEF_FUZZ_SEED", random.randrange(10**6)))
    print(f"DAEF_FUZZ_SEED={chosen}")
    return chosen


def check(fuzzed, address):
    """Nothing deviates, nothing was left out, and the gateway serves on."""
    assert fuzzed.report["failures"] == [], fuzzed.output
    assert fuzzed.report["errors"] == [], fuzzed.output
    assert fuzzed.tested == fuzzed.report["operations"]["total"] > 20
    assert httpx.get(f"http://{address}/healthz", timeout=30).status_code == 200


def test_the_api_keeps_to_its_document_for_callers_with_a_token(guarded, tmp_path):
    fuzzed = fuzz(guarded.http, tmp_path, examples=3, seed=1, token=TOKEN)
    check(fuzzed, guarded.http)
    assert fuzzed.cases > 1_000


def test_the_api_keeps_to_its_document_at_an_open_door(fabric, tmp_path):
    phases = "examples,fuzzing,stateful"
    fuzzed = fuzz(fabric.http, tmp_path, examples=3, seed=1, phases=phases)
    check(fuzzed, fabric.http)
    assert fuzzed.links_covered() > 0


def test_without_its_token_nothing_but_the_public_addresses_answers(guarded):
    gateway = httpx.Client(base_url=f"http://{guarded.http}", timeout=30)
    document = gateway.get("/v1/openapi.json").json()
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"}
    }
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["security"]:
                answer = gateway.request(method, address)
                assert answer.status_code == 401, (method, address)


@pytest.mark.soak
@pytest.mark.parametrize("door", ["fabric", "guarded"])
def test_ten_thousand_requests_find_nothing(door, request, tmp_path):
    gateway = request.getfixturevalue(door)
    token = TOKEN if door == "guarded" else None
    fuzzed = fuzz(gateway.http, tmp_path, examples=60, seed=seed(), token=token)
    check(fuzzed, gateway.http)
    cases = fuzzed.cases
    rounds = cycle(("stateful", "stateful", "fuzzing"))
    while cases < SOAK_CASES:
        fuzzed = fuzz(
            gateway.http, tmp_path, examples=40, seed=seed(), token=token, phases=next(rounds)
        )
        assert fuzzed.report["failures"] == fuzzed.report["errors"] == [], fuzzed.output
        cases += fuzzed.cases
        print(f"{door}: {cases:,} requests")
