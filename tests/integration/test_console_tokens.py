"""Tokens in the console: listed without a secret, made and shown once, revoked with a reason."""

import re
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import ApiToken, Tenant
from access.token_text import SHAPE, digest_of
from audit.models import AuditEntry
from tests.integration.console import found, operator, page, staff, text
from tests.integration.tokens import let_expire, make_token, revoke

pytestmark = pytest.mark.django_db

LIST = "/admin/access/apitoken/"
NEW = f"{LIST}_new/"
WISH = {"name": "ci", "tenants": "acme", "expiry": "90", "description": "the pipeline"}


@pytest.fixture
def console():
    return operator()


def ask(console, **changes):
    """What the form sends."""
    return console.post(NEW, {**WISH, **changes})


def make(console, reason="for the pipeline, OPS-17", **changes):
    """What the confirm page sends."""
    return ask(console, confirmed="1", reason=reason, **changes)


def shown_secrets(response):
    return set(SHAPE.findall(text(response)))


def entries():
    rows = AuditEntry.objects.order_by("number")
    return list(rows.values_list("action", "result", "target", "tenant", "door", "reason"))


# ── the list and a token's page ───────────────────────────────────────────────────────────────────


def test_the_list_names_tokens_with_state_scopes_and_expiry_and_holds_no_secret(console):
    secrets = [
        make_token("grafana", "metrics", expires_at=timezone.now() + timedelta(days=12)),
        make_token("old", "tenant:acme"),
        make_token("gone", "worker"),
    ]
    let_expire("old")
    revoke("gone")
    shown = page(console, LIST)
    for word in ("in 12 days", 'title="active"', 'title="expired"', 'title="revoked"'):
        assert word in shown
    for secret in secrets:
        assert secret[:11] in shown
        assert secret[11:] not in shown
        assert digest_of(secret) not in shown


def test_what_ends_soon_or_never_is_set_off(console):
    make_token("forever", "metrics")
    make_token("soon", "metrics", expires_at=timezone.now() + timedelta(days=13))
    make_token("later", "metrics", expires_at=timezone.now() + timedelta(days=40))
    shown = page(console, LIST)
    assert '<b class="stale">never</b>' in shown
    assert '<b class="stale">in 13 days</b>' in shown
    assert '<b class="stale">in 40 days</b>' not in shown
    assert "1 without expiry" in shown


def test_the_list_is_narrowed_by_state_and_counts_each(console):
    make_token("kept", "metrics")
    make_token("gone", "metrics")
    revoke("gone")
    shown = page(console, f"{LIST}?state=revoked")
    assert ">gone</a>" in shown
    assert ">kept</a>" not in shown
    assert re.search(r"Active <b>1</b>", shown)
    assert "No token is expired" in page(console, f"{LIST}?state=expired")


def test_an_empty_list_says_what_the_first_token_does(console):
    assert "the first one closes that door" in page(console, LIST)


def test_older_tokens_are_on_the_next_page(console):
    for number in range(51):
        make_token(f"t-{number}", "metrics")
    first = page(console, LIST)
    older = found(r'href="(\?state=&amp;before=\d+)"', first).replace("&amp;", "&")
    assert ">t-0</a>" not in first
    assert ">t-0</a>" in page(console, LIST + older)


def test_the_list_costs_as_many_statements_with_30_tokens_as_with_one(console):
    def cost():
        with CaptureQueriesContext(connection) as asked:
            page(console, LIST)
        return len(asked)

    make_token("t", "metrics")
    page(console, LIST)
    with_one = cost()
    for number in range(29):
        make_token(f"t-{number}", "metrics")
    assert cost() == with_one


def test_a_tokens_page_says_what_it_allows(console):
    make_token("acme-gpu", "worker", "tenant:acme")
    shown = page(console, f"{LIST}acme-gpu/")
    assert "as an agent, of acme&#x27;s tasks alone" in shown
    assert console.get(f"{LIST}nobody/").status_code == 404


def test_what_was_written_about_a_token_is_escaped(console):
    make_token("ci", "metrics", description="<script>alert(1)</script>")
    assert "<script>alert" not in page(console, f"{LIST}ci/")


# ── making one ────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_made_through_the_confirm_page_and_works(console):
    asked = ask(console)
    assert "Make ci" in text(asked)
    assert not ApiToken.objects.exists()
    made = make(console)
    (secret,) = shown_secrets(made)
    token = ApiToken.objects.get()
    assert token.digest == digest_of(secret)
    assert (token.name, token.scopes, token.created_by) == ("ci", ["tenant:acme"], "user:operator")
    assert token.expires_at
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    told = entries()
    assert told == [
        ("token_create", "ok", "ci", "acme", "console", "for the pipeline, OPS-17"),
    ]


def test_the_page_that_shows_it_stays_out_of_caches(console):
    made = make(console)
    assert "no-store" in made["Cache-Control"]
    assert made.status_code == 200
    assert "Location" not in made


def test_it_is_shown_once_however_one_comes_back(console):
    (secret,) = shown_secrets(make(console))
    again = make(console)
    assert again.status_code == 400
    assert "names are given once" in text(again)
    assert not shown_secrets(again)
    for address in (LIST, NEW, f"{LIST}ci/", f"{LIST}ci/revoke/"):
        assert secret not in page(console, address)
    assert ApiToken.objects.count() == 1


def test_the_secret_is_in_no_log_record_message_or_session(console, caplog):
    made = make(console)
    (secret,) = shown_secrets(made)
    assert secret not in caplog.text
    assert secret not in str(list(AuditEntry.objects.values_list()))
    assert secret not in str([session.get_decoded() for session in Session.objects.all()])
    assert not [str(each) for each in get_messages(made.wsgi_request)]
    assert secret not in str(made.headers) + str(made.cookies)
    assert secret not in str(list(ApiToken.objects.values_list()))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "CI"}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"tenants": ""}, "scopes"),
        ({"tenants": "Acme"}, "scopes"),
        ({"tenants": "acme", "scopes": ["worker", "operator"]}, "scopes"),
        ({"description": "x" * 201}, "description"),
        ({"expiry": "soon"}, "expiry"),
        ({"expiry": "on", "day": ""}, "day"),
        ({"expiry": "on", "day": "2001-01-01"}, "day"),
        ({"requests_per_minute": "many"}, "requests_per_minute"),
        ({"requests_per_minute": "0"}, "requests_per_minute"),
    ],
)
@pytest.mark.parametrize("send", [ask, make])
def test_what_cannot_be_used_is_said_beside_its_field(console, send, changes, field):
    answered = send(console, **changes)
    assert answered.status_code == 400
    assert f'aria-describedby="{field}-help" aria-invalid="true"' in text(answered)
    assert not ApiToken.objects.exists()


def test_without_a_reason_no_token_is_made(console):
    asked = make(console, reason=" ")
    assert asked.status_code == 400
    assert "Say why" in text(asked)
    assert not ApiToken.objects.exists()


def test_the_form_can_be_changed_again_from_the_confirm_page(console):
    shown = text(ask(console, scopes=["metrics"], back="1"))
    assert 'value="the pipeline"' in shown
    assert re.search(r'value="metrics" checked', shown)


def test_what_is_dangerous_is_said_before(console):
    shown = text(ask(console, expiry="never", scopes=["operator", "tenant:*"]))
    for word in ("never expires", "every limit", "every tenant, also"):
        assert word in shown
    assert "no tenant acme yet" in shown


def test_a_race_for_the_name_is_refused_and_on_record(console, monkeypatch):
    make_token("ci", "metrics")
    monkeypatch.setattr("access.actions.tokens.ApiToken.objects.filter", _none)
    answered = make(console)
    assert answered.status_code == 409
    assert entries()[-1][:3] == ("token_create", "refused", "ci")


def _none(**_):
    return ApiToken.objects.none()


def test_the_form_offers_the_tenants_there_are(console):
    Tenant.objects.create(name="globex")
    assert '<option value="globex">' in page(console, NEW)
    assert 'value="globex"' in page(console, f"{NEW}?tenant=globex")
    assert "alert" not in page(console, f'{NEW}?tenant="><script>alert(1)</script>')


# ── taking one back ───────────────────────────────────────────────────────────────────────────────


def test_a_token_is_revoked_with_a_reason(console):
    make_token("ci", "tenant:acme")
    assert "Back, change nothing" in page(console, f"{LIST}ci/revoke/")
    done = console.post(f"{LIST}ci/revoke/", {"reason": "left the project"})
    assert done["Location"] == f"{LIST}ci/"
    assert ApiToken.objects.get().revoked_at is not None
    assert "refused from the next request on" in page(console, f"{LIST}ci/")
    assert entries()[-1] == ("token_revoke", "ok", "ci", "acme", "console", "left the project")


def test_without_a_reason_no_token_is_revoked(console):
    make_token("ci", "metrics")
    assert console.post(f"{LIST}ci/revoke/", {"reason": ""}).status_code == 400
    assert ApiToken.objects.get().revoked_at is None


def test_a_revoked_token_has_no_button(console):
    make_token("ci", "metrics")
    revoke("ci")
    shown = page(console, f"{LIST}ci/revoke/")
    assert "It is revoked since" in shown
    assert 'name="reason"' not in shown
    assert "/revoke/" not in page(console, f"{LIST}ci/")


# ── who may ───────────────────────────────────────────────────────────────────────────────────────


def test_who_may_only_look_has_no_buttons_and_is_refused():
    make_token("ci", "metrics")
    viewer = staff("access.view_apitoken")
    assert NEW not in page(viewer, LIST)
    assert "/revoke/" not in page(viewer, LIST)
    assert make(viewer, name="other").status_code == 403
    assert viewer.post(f"{LIST}ci/revoke/", {"reason": "x"}).status_code == 403
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.parametrize("permission", ["access.add_apitoken", "access.change_apitoken"])
def test_leave_to_change_does_not_stand_in_for_leave_to_see(permission):
    make_token("ci", "metrics")
    helper = staff(permission)
    assert make(helper, name="other").status_code == 403
    assert helper.post(f"{LIST}ci/revoke/", {"reason": "x"}).status_code == 403


def test_leave_to_make_is_no_leave_to_revoke():
    make_token("ci", "metrics")
    maker = staff("access.view_apitoken", "access.add_apitoken")
    assert make(maker, name="other").status_code == 200
    assert maker.post(f"{LIST}ci/revoke/", {"reason": "x"}).status_code == 403


def test_a_forged_form_makes_nothing(console):
    console.handler.enforce_csrf_checks = True
    assert make(console).status_code == 403
    assert not ApiToken.objects.exists()
