"""What a caller may do follows from its scopes alone; no scope contains another."""

import pytest

from access.actors import Actor


def actor(*scopes):
    return Actor("alice", frozenset(scopes))


def test_scopes_do_not_nest():
    assert not actor("operator").may("tenant")
    assert not actor("operator").may("metrics")
    assert not actor("tenant:acme").may("operator")
    assert not actor("worker").may("tenant")


def test_the_star_is_every_tenant():
    everyone = actor("tenant:*")
    assert everyone.may("tenant")
    assert everyone.may("tenant:acme")
    assert everyone.tenant_names() == "*"


def test_a_tenants_token_owns_that_tenant_only():
    alice = actor("tenant:acme")
    assert alice.owns("acme")
    assert not alice.owns("globex")
    assert alice.tenant_names() == {"acme"}


@pytest.mark.parametrize("scope", ["operator", "metrics", "tenant", "worker", "tenant:acme"])
def test_without_scopes_nothing_is_allowed(scope):
    assert not actor().may(scope)
