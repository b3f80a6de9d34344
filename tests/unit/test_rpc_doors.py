"""Who comes through the gRPC doors while no token is configured, and how a peer is read."""

from types import SimpleNamespace

import pytest

from access.actors import LOCAL_OPERATOR
from access.errors import BadCredentials, NotAllowed
from jobs.rpc import doors


def context(peer: str):
    return SimpleNamespace(peer=lambda: peer)


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch):
    monkeypatch.setattr(doors, "any_token", lambda: False)


@pytest.mark.parametrize("peer", ["ipv4:127.0.0.1:50000", "ipv6:[::1]:50000", "ipv6:%5B::1%5D:5"])
def test_without_tokens_this_machine_is_let_in(peer):
    assert doors._actor(context(peer), []) is LOCAL_OPERATOR


@pytest.mark.parametrize(
    "peer", ["ipv4:10.0.0.7:50000", "ipv6:[fe80::1]:50000", "unix:/tmp/socket", "", "nonsense"]
)
def test_without_tokens_no_other_machine_is_let_in(peer):
    with pytest.raises(BadCredentials):
        doors._actor(context(peer), [])


def test_a_method_that_names_no_scope_is_closed():
    with pytest.raises(NotAllowed):
        doors._enter(context("ipv4:127.0.0.1:5"), None, [])
