"""Default deny: a view that names no scope serves nobody."""

from types import SimpleNamespace
from typing import Any

import pytest

from access.actors import LOCAL_OPERATOR, Actor
from access.errors import BadCredentials, NotAllowed
from access.permissions import HasScope

OPERATOR = Actor("olga", frozenset({"operator"}))
ALICE = Actor("alice", frozenset({"tenant:acme"}))


def allowed(actor, method="GET", **view):
    request: Any = SimpleNamespace(auth=actor, method=method)
    asked: Any = SimpleNamespace(**view)
    return HasScope().has_permission(request, asked)


def test_a_view_without_a_scope_is_denied_to_everyone():
    with pytest.raises(NotAllowed, match="names no scope"):
        allowed(LOCAL_OPERATOR)


def test_a_view_with_an_unknown_scope_is_denied():
    with pytest.raises(NotAllowed):
        allowed(LOCAL_OPERATOR, scope="everyone")


def test_a_public_view_needs_nobody():
    assert allowed(None, scope="public")


def test_a_view_with_a_scope_needs_somebody():
    with pytest.raises(BadCredentials):
        allowed(None, scope="tenant")


def test_the_missing_scope_is_named():
    with pytest.raises(NotAllowed, match="scope operator"):
        allowed(ALICE, scope="operator")


def test_operators_read_where_the_view_says_so():
    assert allowed(OPERATOR, scope="tenant", operators_read=True)


def test_operators_do_not_read_where_the_view_does_not_say_so():
    with pytest.raises(NotAllowed):
        allowed(OPERATOR, scope="tenant")


def test_operators_change_nothing_through_a_tenants_view():
    with pytest.raises(NotAllowed):
        allowed(OPERATOR, "POST", scope="tenant", operators_read=True)
