"""Requests and plans for the planner's tests."""

import json
from typing import Any

from jobs.planner import plan_job
from jobs.planner.plan import Plan
from jobs.planner.request import parse_job_request
from jobs.policies.policy import ENTERPRISE_DEFAULT, EndpointSpec, PolicySpec

ENDPOINTS = (
    EndpointSpec("embedded", "embedded", ("smollm2-135m", "minilm-l6-v2"), 50_000, 200_000),
    EndpointSpec("far", "openai", ("large",), 3_000_000, 15_000_000, location="elsewhere"),
)


def planned(
    body: dict[str, Any], *, policy: PolicySpec = ENTERPRISE_DEFAULT, test_kinds: bool = False
) -> Plan:
    request = parse_job_request(json.dumps(body).encode())
    return plan_job(request, policy=policy, endpoints=ENDPOINTS, test_kinds=test_kinds)


def pipeline(*tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "pipeline", "tasks": list(tasks), **fields}


def echo(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "echo", **fields}
