"""What ``PUT /v1/admin/{policies,endpoints,tenants,pools}/{name}`` takes: the whole object."""

import hashlib
import re
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from access.scopes import NAME_RULE, TENANT_NAME
from jobs.errors import InvalidRequest
from jobs.planner.requeue import REASON_CHARACTERS
from jobs.planner.strict_json import parse_as
from jobs.policies.policy import PolicySpec, check_policy

Price = Annotated[int, Meta(ge=0, le=10**12)]
Limit = Annotated[int, Meta(ge=1, le=1_000_000)]
Bound = Annotated[int, Meta(ge=1, le=31_536_000)]
ModelName = Annotated[str, Meta(min_length=1, max_length=200)]
Reason = Annotated[str, Meta(max_length=REASON_CHARACTERS)]
POOL_NAME = TENANT_NAME
POLICY_NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,62}", re.ASCII)
NAME_FORMS = {
    "policies": (POLICY_NAME, "use 1 to 63 letters, digits, '.', '_' and '-'"),
    "endpoints": (POLICY_NAME, "use 1 to 63 letters, digits, '.', '_' and '-'"),
    "tenants": (TENANT_NAME, NAME_RULE),
    "pools": (POOL_NAME, NAME_RULE),
}
"""The form of each kind's names, and how to write one."""


class EndpointSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where models answer; prices in micro-USD per million tokens.

    `key_name` names the agents' variable DAEF_MODEL_KEY_<key_name>; a key itself is never stored.
    """

    backend: Literal["embedded", "openai"]
    model_names: Annotated[list[ModelName], Meta(min_length=1, max_length=100)]
    base_url: Annotated[str, Meta(max_length=500)] = ""
    location: Annotated[str, Meta(min_length=1, max_length=63)] = "local"
    input_price: Price = 0
    output_price: Price = 0
    key_name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,63}(?!\n)$")] = ""
    timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    enabled: bool = True


class TenantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant's share in hundredths, and most tasks that run at once in each pool."""

    weight: Limit = 100
    max_running_tasks: Limit | None = None


class PoolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Most tasks that run at once in a pool, and how long each class may wait (seconds)."""

    max_running_tasks: Limit | None = None
    interactive_bound_seconds: Bound = 30
    standard_bound_seconds: Bound = 600
    batch_bound_seconds: Bound = 21_600


class PolicyDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy as it is to be; another spec than the current one makes a new revision.

    `reason` goes into the audit log.
    """

    spec: PolicySpec
    reason: Reason = ""


class EndpointDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model endpoint as it is to be; `reason` goes into the audit log."""

    spec: EndpointSettings
    reason: Reason = ""


class TenantDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant as it is to be; `reason` goes into the audit log."""

    spec: TenantSettings
    reason: Reason = ""


class PoolDeclaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool as it is to be; `reason` goes into the audit log."""

    spec: PoolSettings
    reason: Reason = ""


Spec = PolicySpec | EndpointSettings | TenantSettings | PoolSettings
DECLARATIONS: dict[str, Any] = {
    "policies": PolicyDeclaration,
    "endpoints": EndpointDeclaration,
    "tenants": TenantDeclaration,
    "pools": PoolDeclaration,
}


class Declaration(NamedTuple):
    """What an object shall be, and why."""

    spec: Spec
    reason: str


def parse_declaration(kind: str, body: bytes) -> Declaration:
    """Read a body for an object of this kind. Raises MalformedBody or InvalidRequest."""
    given = parse_as(body, DECLARATIONS[kind])
    check_spec(given.spec)
    return Declaration(given.spec, given.reason)


def is_name(kind: str, name: str) -> bool:
    """Tell whether an object of this kind may be called that."""
    return NAME_FORMS[kind][0].fullmatch(name) is not None


def check_name(kind: str, name: str) -> None:
    """Raise InvalidRequest for what no object of this kind may be called."""
    if not is_name(kind, name):
        raise InvalidRequest.field("name", NAME_FORMS[kind][1])


def check_spec(spec: Spec) -> None:
    """Raise InvalidRequest for what the shape alone does not show."""
    if isinstance(spec, PolicySpec):
        check_policy(spec)
        if POOL_NAME.fullmatch(spec.pool) is None:
            raise InvalidRequest.field(
                "spec.pool", "use 1 to 63 small letters, digits and inner hyphens"
            )
    if isinstance(spec, EndpointSettings):
        _check_endpoint(spec)


def entity_tag(spec: Spec) -> str:
    """Return the ETag of an object: the same settings have the same one."""
    text = msgspec.json.encode(spec, order="sorted")
    return f'"{hashlib.sha256(text).hexdigest()[:32]}"'


def changed_fields(before: Spec, after: Spec) -> list[str]:
    """Return the names of the settings that differ between two specs of one kind."""
    names = before.__struct_fields__
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _check_endpoint(spec: EndpointSettings) -> None:
    if spec.backend == "embedded":
        if spec.base_url or spec.key_name:
            field = "spec.base_url" if spec.base_url else "spec.key_name"
            raise InvalidRequest.field(field, "leave it out: embedded models have none")
        return
    try:
        url = urlsplit(spec.base_url)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in spec.base_url or not spec.base_url.isprintable():
        raise InvalidRequest.field(
            "spec.base_url", "write http(s)://host[:port]/path, without user and password"
        )
