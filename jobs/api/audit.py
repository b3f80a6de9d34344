"""``/v1/admin/audit``: what operators did, as JSON and as CSV, and whether the log is whole."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from audit.chain import Entry, time_text
from audit.checks import status
from audit.events import Action, Result
from audit.export import AuditFilter, count_entries, csv_lines, newest_first
from audit.models import ACTOR_CHARACTERS, TENANT_CHARACTERS
from jobs.api.base import ApiView, answer
from jobs.api.operation import Answer, Operation
from jobs.api.query import PAGE, Choice, Moment, Parameter, Text
from jobs.api.streams import CUT, in_pieces
from jobs.queries.formats import moment, page, stored_json

PROBLEMS: Final = (400, 401, 403, 503)
CSV_TYPE: Final = "text/csv"

FILTERS: Final[dict[str, Parameter]] = {
    **PAGE,
    "action": Choice(tuple(action.value for action in Action)),
    "result": Choice(tuple(result.value for result in Result)),
    "tenant": Text(TENANT_CHARACTERS),
    "actor": Text(ACTOR_CHARACTERS),
    "from": Moment(),
    "to": Moment(),
    "format": Choice(("json", "csv"), "json"),
}


class AuditView(ApiView):
    """The audit log, newest first. `from` is the first moment meant, `to` the first beyond it.

    `format=csv` streams the same entries as CSV: all of them, or where `limit` is given so many.
    Cells that a spreadsheet would run as a formula begin with a single quote.
    """

    scope = "operator"
    operations: ClassVar = {
        "get": Operation(
            "List what operators did",
            (Answer(shape="AuditEntryList", media_types=("application/json", CSV_TYPE)),),
            FILTERS,
            PROBLEMS,
        ),
    }

    def get(self, request: Request) -> HttpResponseBase:
        """List entries."""
        query = dict(self.query)
        limit, offset = query.pop("limit"), query.pop("offset")
        as_csv = query.pop("format") == "csv"
        wanted = AuditFilter(since=query.pop("from"), until=query.pop("to"), **query)
        if as_csv:
            most = limit if "limit" in request.query_params else None
            return csv_answer(wanted, offset=offset, limit=most)
        entries = newest_first(wanted, offset=offset, limit=limit)
        total = count_entries(wanted)
        items = [_document(entry) for entry in entries]
        return self.answer_page(page(items, total=total, limit=limit, offset=offset))


class AuditStatusView(ApiView):
    """Whether the log is whole, as far as the control plane has checked it by itself.

    `head` is the newest entry's number and hash: keep it elsewhere, and `audit_verify --head`
    shows later whether the end was cut. `broken` names the first breach that is known.
    """

    scope = "operator"
    operations: ClassVar = {
        "get": Operation(
            "Tell whether the audit log is whole", (Answer(shape="AuditStatus"),), {}, PROBLEMS
        ),
    }

    def get(self, request: Request) -> HttpResponse:
        """Answer the state of the last check."""
        state = status()
        broken = state.broken and {"entry": state.broken[0], "kind": state.broken[1]}
        return answer(
            {
                "entries": state.entries,
                "head": str(state.head) if state.head.number else None,
                "verified_through": state.verified_through,
                "verified_at": moment(state.verified_at),
                "broken": broken,
            }
        )


def csv_answer(
    wanted: AuditFilter, *, offset: int = 0, limit: int | None = None
) -> HttpResponseBase:
    """Answer these entries as a file, line by line; no more than a page of them is in memory."""
    entries = newest_first(wanted, offset=offset, limit=limit)
    lines = (line.encode() for line in csv_lines(entries))
    response = in_pieces(lines, f"{CSV_TYPE}; charset=utf-8", cut=f'"{CUT}"\r\n'.encode())
    response["Content-Disposition"] = 'attachment; filename="audit.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _document(entry: Entry) -> dict[str, Any]:
    """With the time as the hash covers it, so that anybody can compute that again."""
    return {
        **entry._asdict(),
        "happened_at": time_text(entry.happened_at),
        "details": stored_json(entry.details),
    }
