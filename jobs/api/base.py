"""What all views share: scope, declared query parameters, and answers encoded once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from access.actors import OPERATOR, Actor
from access.permissions import Scope
from audit.events import Door, Origin
from jobs.api.middleware import request_id_of
from jobs.api.operation import Operation
from jobs.api.query import read_query
from jobs.api.schema import DaefSchema
from jobs.queries.lookup import missing

encoder = msgspec.json.Encoder()


class AlwaysJson(BaseContentNegotiation):
    """Answers do not depend on ``Accept``; a report's format is asked for by ``?format=``."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        """Bodies are read by ``jobs.api.body``."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[JSONRenderer, str]:
        """Return the one renderer, used by DRF for its own answers only."""
        return JSONRenderer(), JSONRenderer.media_type


class ApiView(APIView):
    """Base of every endpoint below ``/v1``. Subclasses name `scope` and declare `operations`."""

    scope: ClassVar[Scope]
    operators_read: ClassVar[bool] = False
    reads_query: ClassVar[bool] = True
    operations: ClassVar[Mapping[str, Operation]] = {}
    content_negotiation_class = AlwaysJson
    schema = DaefSchema()
    query: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, authorise, then read the query; what was not declared is refused."""
        super().initial(request, *args, **kwargs)
        method = "get" if request.method == "HEAD" else (request.method or "").lower()
        operation = self.operations.get(method)
        if operation is not None and self.reads_query:
            self.query = read_query(request, operation.query)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep a tenant's data out of every cache on the way."""
        final = super().finalize_response(request, response, *args, **kwargs)
        final.setdefault("Cache-Control", "no-store")
        return final

    @property
    def actor(self) -> Actor:
        """Who asks; the permission class has made sure that there is someone."""
        return cast(Actor, self.request.auth)

    @property
    def origin(self) -> Origin:
        """How the request came in, for the audit log."""
        address = self.request.META.get("REMOTE_ADDR", "")
        return Origin(Door.REST, address, request_id_of(self.request))

    @property
    def sees_all(self) -> bool:
        """Whether the caller sees every tenant's metadata."""
        return self.actor.may(OPERATOR)

    def answer_page(self, page: dict[str, Any]) -> HttpResponse:
        """Answer a list with ``next``: the address of the page behind it, or null."""
        following = page["offset"] + page["limit"]
        page["next"] = self._address_at(following) if following < page["total"] else None
        return answer(page)

    def _address_at(self, offset: int) -> str:
        given = {**self.request.query_params.dict(), "offset": str(offset)}
        return f"{self.request.path}?{urlencode(given)}"


def answer(document: Any, status: int = 200) -> HttpResponse:
    """Return a JSON answer."""
    return HttpResponse(encoder.encode(document), status=status, content_type="application/json")


def now() -> datetime:
    """Return the time, taken at the door and handed down."""
    return timezone.now()


class UnknownAddress(ApiView):
    """Whatever is below ``/v1`` and is no endpoint."""

    scope = "public"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer without looking at who asks or what for."""
        raise missing()
