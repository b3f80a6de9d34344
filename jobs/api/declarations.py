"""``/v1/admin/{policies,endpoints,tenants,pools}``: what operators declare, object by object."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from rest_framework.request import Request

from jobs.actions.declare import Condition, Declared, declare, declared, declared_names
from jobs.api.base import ApiView, answer
from jobs.api.body import JSON_TYPE, json_bytes
from jobs.api.operation import Answer, Operation
from jobs.api.query import PAGE
from jobs.errors import InvalidRequest
from jobs.planner.declarations import check_name, entity_tag, is_name, parse_declaration
from jobs.queries.formats import page
from jobs.queries.lookup import missing

PUT_PROBLEMS: Final = (400, 401, 403, 404, 412, 413, 415, 503)
ENTITY_TAG = re.compile(r'"[\x21\x23-\x7e]{0,128}"', re.ASCII)


class DeclaredListView(ApiView):
    """Base of a kind's list."""

    scope = "operator"
    kind: ClassVar[str]

    def get(self, request: Request) -> HttpResponse:
        """List the objects by name."""
        limit, offset = self.query["limit"], self.query["offset"]
        names, total = declared_names(self.kind, limit=limit, offset=offset)
        found = [one for name in names if (one := declared(self.kind, name))]
        items = [_document(one) for one in found]
        return self.answer_page(page(items, total=total, limit=limit, offset=offset))


class DeclaredView(ApiView):
    """Base of a kind's one object."""

    scope = "operator"
    kind: ClassVar[str]

    def get(self, request: Request, name: str) -> HttpResponse:
        """Answer the object with its ETag."""
        found = declared(self.kind, name) if is_name(self.kind, name) else None
        if found is None:
            raise missing()
        return _answer(found)

    def put(self, request: Request, name: str) -> HttpResponse:
        """Make the object what the body says."""
        given = parse_declaration(self.kind, json_bytes(request))
        check_name(self.kind, name)
        done = declare(
            kind=self.kind,
            name=name,
            spec=given.spec,
            condition=_condition(request),
            actor=self.actor,
            origin=replace(self.origin, reason=given.reason),
        )
        return _answer(done)


def _views(kind: str, one: str, shape: str) -> tuple[type[ApiView], type[ApiView]]:
    """The two views of a kind, each with its part of the schema."""
    lists = {
        "get": Operation(
            f"List {kind}", (Answer(shape=f"{shape}List"),), PAGE, (400, 401, 403, 503)
        )
    }
    single = {
        "get": Operation(
            f"Look at {one} as it was declared", (Answer(shape=shape, headers=("ETag",)),)
        ),
        "put": Operation(
            f"Declare {one}",
            (
                Answer(shape=shape, description="It is so now.", headers=("ETag",)),
                Answer(201, shape, description="It was made.", headers=("ETag",)),
            ),
            problems=PUT_PROBLEMS,
            body=shape.removeprefix("Declared") + "Declaration",
            body_types=(JSON_TYPE,),
            headers=("If-Match", "If-None-Match"),
        ),
    }
    told = (
        f"{one.capitalize()} as operators declare it: a document that says the same again changes "
        "nothing. `If-Match` guards against others' changes; `reason` goes into the audit log."
    )
    name = shape.removeprefix("Declared")
    return (
        type(
            f"{name}ListView",
            (DeclaredListView,),
            {"kind": kind, "operations": lists, "__doc__": told},
        ),
        type(f"{name}View", (DeclaredView,), {"kind": kind, "operations": single, "__doc__": told}),
    )


VIEWS: Final = {
    "policies": _views("policies", "a policy", "DeclaredPolicy"),
    "endpoints": _views("endpoints", "an endpoint", "DeclaredEndpoint"),
    "tenants": _views("tenants", "a tenant", "DeclaredTenant"),
    "pools": _views("pools", "a pool", "DeclaredPool"),
}


def _condition(request: Request) -> Condition:
    given = request.META.get("HTTP_IF_MATCH")
    none_match = request.META.get("HTTP_IF_NONE_MATCH")
    if none_match is not None and none_match.strip() != "*":
        raise InvalidRequest.field("If-None-Match", "send * to make only what is not there yet")
    if given is None:
        return Condition(only_new=none_match is not None)
    tags = tuple(tag.strip() for tag in given.split(","))
    if tags != ("*",) and not all(ENTITY_TAG.fullmatch(tag) for tag in tags):
        raise InvalidRequest.field("If-Match", 'send the ETag as it was answered, or "*" bare')
    return Condition(tags, only_new=none_match is not None)


def _answer(found: Declared) -> HttpResponse:
    response = answer(_document(found), status=201 if found.created else 200)
    response["ETag"] = entity_tag(found.spec)
    return response


def _document(found: Declared) -> dict[str, Any]:
    revision = {"revision": found.revision} if found.revision else {}
    return {"name": found.name, **revision, "spec": found.spec}
