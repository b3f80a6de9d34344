"""Every route and every RPC for every kind of caller, generated from what there is.

The routes come from the URL list, the RPCs from the protocol; what each caller is answered follows
from the scope that the view declares. A route without a case fails the first test.
"""

import re
from contextlib import contextmanager

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections

from access.permissions import SCOPES
from jobs.api.base import UnknownAddress
from jobs.api.urls import urlpatterns
from tests.integration.gateway import problem
from tests.integration.route_cases import CASES, MISSING
from tests.integration.routes import READS, TOKENS, VERBS, Role, World, api_views, routes, verbs_of

pytestmark = pytest.mark.django_db

DECLARED = routes()


@pytest.fixture
def world(settings):
    settings.DAEF_API_TOKENS = TOKENS
    return World()


def test_every_route_has_a_case_and_every_case_a_route():
    assert set(DECLARED) == set(CASES)


def test_everything_below_v1_is_in_the_urls_of_the_api():
    """So that one list tells all that has to be kept."""
    assert set(api_views()) == {f"v1/{pattern.pattern}" for pattern in urlpatterns}


def test_every_view_names_a_scope_of_the_list():
    assert {
        address: getattr(view, "scope", None)
        for address, view in api_views().items()
        if getattr(view, "scope", None) not in SCOPES
    } == {}


def ask(world, role, route, parts, *, query="", verb=None):
    """The answer to one caller."""
    case = CASES[route]
    declared, address = route.split(" ")
    response = world.gateway(role).client.generic(
        verb or declared,
        "/" + filled(address, parts) + query,
        case.content() if (verb or declared) not in READS else b"",
        content_type=case.kind,
    )
    if response.streaming:
        close(response)
    return response


def close(response):
    """End a stream without reading it; the test's own connection stays, as with Django's client."""
    request_finished.disconnect(close_old_connections)
    response.close()
    request_finished.connect(close_old_connections)


def filled(address, parts):
    """The address with its parts put in."""
    return re.sub(r"<str:(\w+)>", lambda part: parts[part[1]], address)


def refusal(response, verb, status, code=None):
    """A refusal is a problem document; to HEAD without its body."""
    if verb == "HEAD":
        assert response.status_code == status
    else:
        problem(response, status, code)


def told(response):
    """All that an answer tells, but the request's id."""
    body = re.sub(rb'"request_id":"[^"]*"', b"", response.content)
    headers = {k: v for k, v in response.headers.items() if k != "X-Request-Id"}
    return response.status_code, body, headers


class Findings(list[str]):
    """What is wrong, all of it: one caller on one route need not hide the next."""

    @contextmanager
    def about(self, what):
        """Note what fails inside, and go on."""
        try:
            yield
        except AssertionError as error:
            self.append(f"{what}: {str(error)[:300]}")


@pytest.fixture
def findings():
    """Fails the test that found something."""
    found = Findings()
    yield found
    assert found == []


def check(response, role: Role, view, verb, case, status):
    """Hold one answer against what the declaration says."""
    if view.scope != "public" and role.scopes is None:
        refusal(response, verb, 401, "unauthenticated")
        assert response["WWW-Authenticate"].startswith("Bearer")
    elif not role.is_let_in(view, verb):
        refusal(response, verb, 403, "scope_missing")
    elif case.owned and not role.is_the_owner() and not role.sees_metadata(view, verb):
        refusal(response, verb, 404, "not_found")
    else:
        assert response.status_code == status, response.content[:300]


def test_each_caller_is_answered_as_the_view_declares(world, findings):
    for route, view in DECLARED.items():
        case, verb = CASES[route], route.split(" ")[0]
        parts = case.make(world)
        # Who is refused comes first and leaves everything as it was for those who are not.
        for name in sorted(world.roles, key=lambda name: world.roles[name].is_let_in(view, verb)):
            role = world.roles[name]
            if verb not in READS and role.is_let_in(view, verb) and role.is_the_owner():
                parts = case.make(world)
            with findings.about(f"{route} for {name}"):
                check(ask(world, name, route, parts), role, view, verb, case, case.status)


def check_undeclared(status, role, view, verb):
    """HEAD goes as GET does, OPTIONS tells those who may what there is, the rest is 405."""
    if view.scope != "public" and role.scopes is None:
        assert status == 401
    elif not role.is_let_in(view, verb):
        assert status == 403
    elif verb == "HEAD" and hasattr(view, "get"):
        assert status in (200, 404)
    elif verb == "OPTIONS" and "options" in view.http_method_names:
        assert status == 200
    else:
        assert status == 405


def test_verbs_that_a_view_does_not_answer_tell_strangers_nothing(world, findings):
    """Not even by the verb does who is not known learn what there is."""
    for address, view in api_views().items():
        if view is UnknownAddress:
            continue
        route = f"{verbs_of(view)[0]} {address}"
        parts = CASES[route].make(world)
        for verb in sorted(set(VERBS) - set(verbs_of(view))):
            for name in ("nobody", "revoked", "metrics", "operator", "other tenant", "owner"):
                status = ask(world, name, route, parts, verb=verb).status_code
                with findings.about(f"{verb} {address} for {name} is {status}"):
                    check_undeclared(status, world.roles[name], view, verb)


def test_what_is_no_address_is_missing_for_everybody(world, findings):
    for verb in VERBS:
        for name in world.roles:
            with findings.about(f"{verb} for {name}"):
                refusal(ask(world, name, "GET v1/", {}, verb=verb), verb, 404, "not_found")


def test_a_token_in_the_address_is_refused_on_every_route(world, findings):
    token = (world.roles["every tenant"].header or "").removeprefix("Bearer ")
    for route in (route for route, view in DECLARED.items() if view.scope != "public"):
        parts = {**CASES[route].make(world)}
        for name in ("nobody", "owner"):
            with findings.about(f"{route} for {name}"):
                refused = ask(world, name, route, parts, query=f"?access_token={token}")
                assert "query string" in problem(refused, 401, "unauthenticated")["detail"]
                assert token not in refused.content.decode()


# ── what is another's ─────────────────────────────────────────────────────────────────────────────

OWNED = [route for route, case in CASES.items() if case.owned]


def test_anothers_object_answers_like_one_that_never_was(world, findings):
    for route in OWNED:
        parts = CASES[route].make(world)
        spellings = [parts]
        if "job" in parts:
            uid = world.gateway("owner").get(f"/v1/jobs/{parts['job']}").json()["uid"]
            spellings.append({**parts, "job": uid})
        for name in ("other tenant", "agent of another tenant"):
            missing = told(ask(world, name, route, {**parts, **MISSING}))
            with findings.about(f"{route} for {name}"):
                assert missing[0] == 404
                for spelling in spellings:
                    assert told(ask(world, name, route, spelling)) == missing


def test_operators_change_nothing_of_a_tenants(world, findings):
    for route in (route for route in OWNED if not route.startswith("GET")):
        with findings.about(route):
            parts = CASES[route].make(world)
            problem(ask(world, "operator", route, parts), 403, "scope_missing")


def test_a_body_that_names_anothers_file_is_answered_like_one_that_names_none(world):
    answers = []
    for identifier in (CASES["GET v1/files/<str:file>"].make(world)["file"], MISSING["file"]):
        body = {"type": "analyze", "input": "why?", "file_id": identifier}
        answers.append(told(world.gateway("other tenant").post("/v1/jobs", body)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_a_body_that_names_anothers_tenant_does_not_tell_whether_it_is_there(world):
    world.gateway("owner").submit()
    answers = []
    for tenant in ("alpha", "never"):
        body = {"type": "chat", "input": "hello", "tenant": tenant}
        status, text, _ = told(world.gateway("other tenant").post("/v1/jobs", body))
        answers.append((status, text.replace(tenant.encode(), b"")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 403


def test_lists_hold_nothing_of_anothers(world):
    owner, other = world.gateway("owner"), world.gateway("other tenant")
    owner.submit(labels={"team": "alpha"})
    CASES["GET v1/files"].make(world)
    for query in ("", "?tenant=alpha", "?label=team=alpha"):
        assert other.get(f"/v1/jobs{query}").json()["items"] == []
    assert other.get("/v1/files").json()["items"] == []
