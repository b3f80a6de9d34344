"""The grammar of scopes is closed, and says what to write instead."""

import pytest

from access.errors import BadField
from access.scopes import MOST_SCOPES, checked_scopes, is_scope, only_tenant


@pytest.mark.parametrize(
    "scope", ["metrics", "operator", "worker", "tenant:*", "tenant:a", "tenant:a-1", "tenant:0"]
)
def test_these_are_scopes(scope):
    assert is_scope(scope)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "admin",
        "Operator",
        "operator ",
        "tenant",
        "tenant:",
        "tenant:A",
        "tenant:-a",
        "tenant:a-",
        "tenant:a b",
        "tenant:a|operator",
        "tenant:a\n",
        "tenant:*a",
        "tenant:" + "a" * 64,
        "tenant:ä",
        "public",
        "worker:gpu",
    ],
)
def test_these_are_none(scope):
    assert not is_scope(scope)
    with pytest.raises(BadField, match="known: metrics, operator, worker") as refusal:
        checked_scopes(["metrics", scope])
    assert refusal.value.field == "scopes"


def test_each_scope_is_kept_once_the_tenants_last():
    given = ["tenant:b", "operator", "tenant:a", "operator", "metrics"]
    assert checked_scopes(given) == ["metrics", "operator", "tenant:a", "tenant:b"]


def test_a_token_without_scopes_or_with_too_many_is_refused():
    for given in ([], [f"tenant:t{number}" for number in range(MOST_SCOPES + 1)]):
        with pytest.raises(BadField):
            checked_scopes(given)


@pytest.mark.parametrize("given", [["worker"], ["worker", "tenant:acme"]])
def test_an_agents_token_is_for_all_tenants_or_for_one(given):
    assert sorted(checked_scopes(given)) == sorted(given)


@pytest.mark.parametrize(
    "others", [["operator"], ["metrics"], ["tenant:*"], ["tenant:a", "tenant:b"]]
)
def test_an_agents_token_is_for_nothing_else(others):
    with pytest.raises(BadField, match="token of their own"):
        checked_scopes(["worker", *others])


@pytest.mark.parametrize(
    ("scopes", "tenant"),
    [
        (["tenant:a", "metrics"], "a"),
        (["tenant:a", "tenant:b"], ""),
        (["tenant:*"], ""),
        (["operator"], ""),
        (["tenant:NO"], ""),
    ],
)
def test_a_records_tenant_is_the_only_one_of_its_token(scopes, tenant):
    assert only_tenant(scopes) == tenant
