"""Making and taking back tokens and tenants: checked, in the audit log, together or not at all."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from access.actions import tokens as token_actions
from access.actions.audited import Trail
from access.actions.tenants import create_tenant
from access.actions.tokens import TokenWish, create_token, revoke_token
from access.actors import LOCAL_OPERATOR, Actor
from access.errors import AlreadyThere, BadField, NoSuchToken, NotAllowed
from access.models import ApiToken, Tenant
from access.queries import list_tokens, state_of
from access.token_text import SHOWN_CHARACTERS
from audit.events import Door, Origin
from audit.integrity import verify_chain
from audit.models import AuditEntry
from tests.integration.tokens import let_expire, make_token, mistyped, revoke

pytestmark = pytest.mark.django_db

ALICE = Actor("alice", frozenset({"tenant:acme", "metrics"}))


def entries():
    rows = AuditEntry.objects.order_by("number")
    return list(rows.values_list("action", "result", "target", "tenant", "details"))


def create(name="ci", scopes=("tenant:acme",), actor=LOCAL_OPERATOR, **wish):
    return create_token(TokenWish(name, scopes, **wish), actor=actor, now=timezone.now())


def take_back(identifier, actor=LOCAL_OPERATOR):
    return revoke_token(identifier, actor=actor, now=timezone.now())


def test_a_token_that_is_made_leaves_one_entry_that_does_not_tell_it():
    made = create(scopes=["tenant:acme", "metrics"])
    ((action, result, target, tenant, details),) = entries()
    assert (action, result, target, tenant) == ("token_create", "ok", "ci", "acme")
    assert json.loads(details) == {
        "prefix": made.secret[:SHOWN_CHARACTERS],
        "scopes": "metrics|tenant:acme",
        "expires_at": "never",
    }
    assert made.secret not in str(list(AuditEntry.objects.values_list()))
    assert made.secret not in repr(made)
    assert verify_chain() is None


def test_a_revocation_leaves_one_entry_and_its_repetition_none():
    made = create()
    for _ in range(2):
        assert take_back("ci").revoked_at is not None
    assert [entry[:4] for entry in entries()[1:]] == [("token_revoke", "ok", "ci", "acme")]
    assert state_of(made.row, now=timezone.now()) == "active"
    assert state_of(ApiToken.objects.get(), now=timezone.now()) == "revoked"


def test_an_entry_tells_who_did_it_and_how():
    origin = Origin(Door.COMMAND, reason="for the pipeline")
    create_token(
        TokenWish("ci", ["metrics"]), actor=LOCAL_OPERATOR, now=timezone.now(), origin=origin
    )
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.door, entry.reason) == ("local", "command", "for the pipeline")
    assert ApiToken.objects.get().created_by == "local"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "CI"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"scopes": ["worker", "operator"]}, "scopes"),
        ({"description": "x" * 201}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"description": "\0"}, "description"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expires_at"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": 1_000_001}, "requests_per_minute"),
        ({"requests_per_minute": 5, "scopes": ["worker"]}, "requests_per_minute"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_field_and_recorded(wish, field):
    with pytest.raises(BadField) as refusal:
        create(**wish)
    assert refusal.value.field == field
    assert [entry[:2] for entry in entries()] == [("token_create", "refused")]
    assert json.loads(entries()[0][4]) == {"code": "invalid_request"}
    assert not ApiToken.objects.exists()


def test_a_name_is_given_once_even_where_its_token_is_revoked():
    create()
    take_back("ci")
    with pytest.raises(AlreadyThere, match="names are given once"):
        create()
    assert entries()[-1][:3] == ("token_create", "refused", "ci")


@pytest.mark.parametrize("act", [create, lambda actor: take_back("ci", actor)])
def test_who_is_no_operator_is_refused_and_recorded(act):
    make_token("ci", "tenant:acme")
    with pytest.raises(NotAllowed):
        act(actor=ALICE)
    assert AuditEntry.objects.latest("number").result == "refused"
    assert AuditEntry.objects.latest("number").actor == "alice"
    assert ApiToken.objects.get().revoked_at is None


def test_a_token_can_be_revoked_by_its_beginning_or_as_it_is():
    for name, identify in (("a", lambda token: token[:SHOWN_CHARACTERS]), ("b", str)):
        assert take_back(identify(make_token(name, "metrics"))).name == name


def test_where_two_tokens_begin_alike_the_name_has_to_be_given():
    make_token("a", "metrics")
    make_token("b", "metrics")
    ApiToken.objects.update(prefix="daef_000000")
    with pytest.raises(NoSuchToken, match="give the name"):
        take_back("daef_000000")


def test_a_token_that_nobody_knows_is_recorded_without_its_secret():
    strange = mistyped(make_token("a", "metrics"))
    for identifier in (strange, "hunter2!", "nobody", "\0"):
        with pytest.raises(NoSuchToken, match="list_tokens"):
            take_back(identifier)
    targets = [entry[2] for entry in entries()[1:]]
    assert targets == [strange[:SHOWN_CHARACTERS], "", "nobody", ""]


def test_without_its_entry_a_token_is_not_made(monkeypatch):
    def fails(*_):
        raise RuntimeError("the log is full")

    monkeypatch.setattr(Trail, "_record", fails)
    with pytest.raises(RuntimeError):
        create()
    assert not ApiToken.objects.exists()


def test_a_fault_is_recorded_as_an_error(monkeypatch):
    def fails():
        raise RuntimeError("no randomness left")

    monkeypatch.setattr(token_actions, "new_token", fails)
    with pytest.raises(RuntimeError):
        create()
    assert [entry[:3] for entry in entries()] == [("token_create", "error", "ci")]


def test_the_list_tells_the_state_of_each_token_and_no_secret():
    secrets = [make_token(name, "tenant:acme") for name in ("c", "a", "b")]
    revoke("a")
    let_expire("b")
    listed = list_tokens(now=timezone.now(), limit=10, offset=0)
    assert [(token["name"], token["state"]) for token in listed["items"]] == [
        ("a", "revoked"),
        ("b", "expired"),
        ("c", "active"),
    ]
    for secret in secrets:
        assert secret[SHOWN_CHARACTERS:] not in str(listed)
    assert not {"digest", "token", "id"} & set(listed["items"][0])


def test_the_list_is_read_by_pages():
    for name in ("a", "b", "c"):
        make_token(name, "metrics")
    page = list_tokens(now=timezone.now(), limit=1, offset=1)
    assert ([token["name"] for token in page["items"]], page["total"]) == (["b"], 3)


# ── tenants ───────────────────────────────────────────────────────────────────────────────────────


def test_a_tenant_is_made_with_its_share_and_limit():
    create_tenant("acme", actor=LOCAL_OPERATOR, weight=200, max_running_tasks=5)
    tenant = Tenant.objects.get()
    assert (tenant.name, tenant.weight, tenant.max_running_tasks) == ("acme", 200, 5)
    assert entries() == [
        ("tenant_create", "ok", "acme", "acme", '{"max_running_tasks":5,"weight":200}')
    ]


def test_a_tenant_that_is_there_is_left_as_it_is():
    create_tenant("acme", actor=LOCAL_OPERATOR, weight=200)
    with pytest.raises(AlreadyThere):
        create_tenant("acme", actor=LOCAL_OPERATOR)
    assert Tenant.objects.get().weight == 200
    assert [entry[1] for entry in entries()] == ["ok", "refused"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "Acme"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"weight": 0}, "weight"),
        ({"weight": 10**9}, "weight"),
        ({"max_running_tasks": 0}, "max_running_tasks"),
    ],
)
def test_a_tenant_that_cannot_be_is_refused_by_its_field(wish, field):
    with pytest.raises(BadField) as refusal:
        create_tenant(**{"name": "acme", "actor": LOCAL_OPERATOR, **wish})
    assert refusal.value.field == field
    assert [entry[:2] for entry in entries()] == [("tenant_create", "refused")]


def test_only_operators_make_tenants():
    with pytest.raises(NotAllowed):
        create_tenant("acme", actor=ALICE)
    assert not Tenant.objects.exists()
