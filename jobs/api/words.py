"""The kinds of text and number that answers consist of, each with its bounds for the schema."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from access.scopes import TENANT_NAME
from jobs.api.middleware import SAFE_ID
from jobs.errors import DaefError, catalogue
from jobs.planner.declarations import POLICY_NAME
from jobs.queries.files import FILE_NAME
from jobs.queries.lookup import JOB_NAME, TASK_NAME, UID

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""An RFC 3339 time in UTC, to the millisecond."""

Address = Annotated[str, Meta(pattern="^/v1/", extra_json_schema={"format": "uri-reference"})]
Uid = Annotated[str, Meta(pattern=f"^{UID.pattern}$", extra_json_schema={"format": "uuid"})]
JobId = Annotated[str, Meta(pattern=f"^{JOB_NAME.pattern}$")]
TaskId = Annotated[str, Meta(pattern=f"^{TASK_NAME.pattern}$")]
FileId = Annotated[str, Meta(pattern=f"^{FILE_NAME.pattern}$")]
PolicyName = Annotated[str, Meta(pattern=f"^{POLICY_NAME.pattern}$")]
TenantName = Annotated[str, Meta(pattern=f"^{TENANT_NAME.pattern}$")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
RequestId = Annotated[str, Meta(pattern=f"^{SAFE_ID.pattern}$")]
Count = Annotated[int, Meta(ge=0)]
PageLimit = Annotated[int, Meta(ge=1, le=1000)]
Usd = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]

ERRORS: list[type[DaefError]] = [DaefError, *catalogue()]
ERROR_CODES = sorted({error.code for error in ERRORS})
ErrorCode = Annotated[str, Meta(extra_json_schema={"enum": ERROR_CODES})]
ProblemType = Annotated[str, Meta(pattern=f"^https://daef\\.io/errors/({'|'.join(ERROR_CODES)})$")]
ProblemStatus = Annotated[int, Meta(ge=400, le=599)]

PLACES: dict[str, dict[str, Any]] = {
    "job": {"type": "string", "pattern": f"^({JOB_NAME.pattern}|{UID.pattern})$"},
    "task": {"type": "string", "pattern": f"^{TASK_NAME.pattern}$"},
    "worker": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
    "file": {"type": "string", "pattern": f"^{FILE_NAME.pattern}$"},
}
"""What stands in an address, by the name of the place; at the others any word may."""

NAMES: dict[str, dict[str, Any]] = {
    "policies": {"type": "string", "pattern": f"^{POLICY_NAME.pattern}$"},
    "endpoints": {"type": "string", "pattern": f"^{POLICY_NAME.pattern}$"},
    "tenants": {"type": "string", "pattern": f"^{TENANT_NAME.pattern}$"},
    "pools": {"type": "string", "pattern": f"^{TENANT_NAME.pattern}$"},
}
"""What `{name}` is behind these words."""
