"""What a fabric under test has in its database beside what a new one starts with."""

import json
import secrets
from typing import Any
from urllib.parse import quote

import psycopg

SMALL_TENANT = "small"
SMALL_TENANT_LIMIT = 4
SOLO_POOL = "solo"
SOLO_POOL_LIMIT = 6
IMPATIENT = "impatient"
IMPATIENT_SECONDS = 0.6
"""Start-to-close of the policy for tasks that never end."""

PRICED_MODEL = "priced"
INPUT_PRICE, OUTPUT_PRICE = 1_000_000, 2_000_000
"""Micro-USD per million tokens."""

ROLE = "fabric"
"""The fabric's own user of the database: no superuser, so that its limits hold."""


def make_role(connection: psycopg.Connection[Any], host: str) -> str:
    """Give the database to a role of its own; answers the DSN without its port's number.

    ``host`` is where the DSN leads; the caller fills ``{port}`` in.
    """
    password = secrets.token_urlsafe(24)
    connection.execute(f"create role {ROLE} login password '{password}'")
    connection.execute(f"alter database daef owner to {ROLE}")
    return f"postgres://{ROLE}:{quote(password, safe='')}@{host}:{{port}}/daef"


def lay(connection: psycopg.Connection[Any], *, till: str) -> None:
    """Add tenants and pools with limits, policies, and a model that costs money at ``till``."""
    connection.execute(
        "insert into tenant (name, weight, max_running_tasks, created_at) "
        "values (%s, 100, %s, now())",
        (SMALL_TENANT, SMALL_TENANT_LIMIT),
    )
    connection.execute(
        "insert into pool (name, max_running_tasks, interactive_bound_seconds, "
        "standard_bound_seconds, batch_bound_seconds, created_at) "
        "values (%s, %s, 30, 600, 21600, now())",
        (SOLO_POOL, SOLO_POOL_LIMIT),
    )
    _add_policy(connection, SOLO_POOL, {"pool": SOLO_POOL})
    _add_policy(connection, IMPATIENT, {"start_to_close_seconds": IMPATIENT_SECONDS})
    connection.execute(
        "insert into model_endpoint (name, backend, base_url, model_names, location, input_price, "
        "output_price, key_name, timeout_seconds, enabled) "
        "values ('till', 'openai', %s, %s, 'local', %s, %s, '', 3, true)",
        (till, [PRICED_MODEL], INPUT_PRICE, OUTPUT_PRICE),
    )


def _add_policy(connection: psycopg.Connection[Any], name: str, spec: dict[str, Any]) -> None:
    connection.execute(
        "with p as (insert into policy (name) values (%s) returning id), "
        "r as (insert into policy_revision (policy_id, number, spec, created_at) "
        "select id, 1, %s, now() from p returning id) select id from r",
        (name, json.dumps(spec)),
    )
    connection.execute(
        "update policy set current_id = r.id from policy_revision r "
        "where r.policy_id = policy.id and policy.name = %s",
        (name,),
    )
