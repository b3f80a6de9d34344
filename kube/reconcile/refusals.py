"""Why something was not taken, in the closed lists' words."""

from dataclasses import dataclass

from client.errors import ApiError, ClientError, Unreachable

PASSING = frozenset({"FabricUnavailable", "Unauthorized", "ReferenceNotFound"})
"""What others have to mend, or what passes; the rest are ends."""


@dataclass(frozen=True)
class Refusal:
    """Why, in one word of the closed list, and for people."""

    reason: str
    message: str

    @property
    def passes(self) -> bool:
        """Whether to try again."""
        return self.reason in PASSING


class NotTaken(Exception):
    """The fabric, or Kubernetes, does not have what is asked for."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, message)


def refusal_of_job(error: ClientError) -> Refusal:
    """What an answer to ``POST /v1/jobs`` means."""
    if not isinstance(error, ApiError) or _passes(error):
        return _outside(error)
    fields = {each.field for each in error.fields}
    if error.code == "state_conflict" and "plan_hash" in fields:
        return Refusal("PlanHashMismatch", str(error))
    if error.code == "invalid_request" and "policy" in fields:
        return Refusal("PolicyNotFound", str(error))
    known = {"policy_denied": "PolicyDenied", "plan_refused": "PlanRefused"}
    return Refusal(known.get(error.code, "InvalidInput"), str(error))


def refusal_of_declaration(error: ClientError) -> Refusal:
    """What an answer to ``PUT /v1/admin/…`` means."""
    if not isinstance(error, ApiError) or _passes(error):
        return _outside(error)
    return Refusal("InvalidSpec", str(error))


def _passes(error: ApiError) -> bool:
    passing = error.status in (408, 425, 429) or error.status >= 500
    return passing or error.code in ("request_in_flight", "unauthenticated", "scope_missing")


def _outside(error: ClientError) -> Refusal:
    if isinstance(error, ApiError) and error.code in ("unauthenticated", "scope_missing"):
        return Refusal("Unauthorized", f"{error} The operator's token has to be renewed.")
    if isinstance(error, Unreachable):
        return Refusal("FabricUnavailable", "The fabric does not answer; it is asked again.")
    return Refusal("FabricUnavailable", str(error))
