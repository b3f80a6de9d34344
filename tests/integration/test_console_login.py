"""Coming and going at the console: counted, and in the audit log however it ends."""

import json

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone

from access import first_login, logins
from access.logins import MOST_FOR_A_NAME, MOST_FROM_AN_ADDRESS
from access.models import LoginWindow
from audit.models import AuditEntry
from tests.integration.console import browser, text
from tests.integration.minutes import early_in_a_minute

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Slow hashes are Django's matter; here they would only take time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def sam():
    return User.objects.create_user("sam", password=PASSWORD, is_staff=True)


def log_in(name="sam", password=PASSWORD, client=None, **headers):
    client = client or browser()
    return client.post(
        "/admin/login/", {"username": name, "password": password}, headers=headers or None
    )


def use_link(secret, client=None):
    return (client or browser()).post("/admin/once/", {"secret": secret})


def entries():
    """Each entry as (action, result, actor, details)."""
    rows = AuditEntry.objects.order_by("number")
    return [
        (row.action, row.result, row.actor, json.loads(row.details))
        for row in rows
        if (row.target, row.door) == ("console", "console")
    ]


def test_the_right_password_logs_in_and_leaves_one_entry(sam):
    client = browser()
    assert log_in(client=client)["Location"] == "/admin/"
    assert client.get("/admin/password_change/").status_code == 200
    assert entries() == [("login", "ok", "user:sam", {"method": "password"})]
    assert AuditEntry.objects.get().address == "127.0.0.1"


def test_a_login_goes_on_to_the_page_that_was_asked_for(sam):
    client = browser()
    asked = client.get("/admin/jobs/job/")["Location"]
    answer = client.post(asked, {"username": "sam", "password": PASSWORD})
    assert answer["Location"] == "/admin/jobs/job/"


def test_a_login_does_not_lead_to_another_site(sam):
    answer = browser().post(
        "/admin/login/?next=https://evil.example/", {"username": "sam", "password": PASSWORD}
    )
    assert answer["Location"] == "/admin/"


def test_who_is_in_is_sent_to_the_dashboard(sam):
    assert browser(sam).get("/admin/login/")["Location"] == "/admin/"


def test_a_wrong_password_is_refused_and_recorded(sam):
    answer = log_in(password="wrong")
    assert answer.status_code == 200
    assert "Please enter the correct username and password" in text(answer)
    assert entries() == [
        ("login", "refused", "user:sam", {"code": "unauthenticated", "method": "password"})
    ]
    assert not Session.objects.exists()


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_a_user_who_may_not_come_in_is_refused_and_recorded(sam, change):
    User.objects.filter(pk=sam.pk).update(**change)
    assert log_in().status_code == 200
    assert [entry[:2] for entry in entries()] == [("login", "refused")]


def test_what_was_typed_as_a_name_is_kept_nowhere_unless_it_is_one(sam):
    """People type their password where their name belongs."""
    log_in(name="my-secret-password", password="x")
    assert entries()[0][2] == "nobody"
    kept = [*AuditEntry.objects.values_list(), *LoginWindow.objects.values_list()]
    assert "my-secret" not in str(kept)


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 500, "ä\u200b"])
def test_a_name_that_cannot_be_is_no_fault_of_the_server(sam, name):
    assert log_in(name=name).status_code == 200


def test_a_name_is_tried_so_often_in_a_minute_and_then_not_even_rightly(sam):
    early_in_a_minute()
    for _ in range(MOST_FOR_A_NAME):
        assert log_in(password="wrong").status_code == 200
    for _ in range(3):
        refused = log_in()
        assert refused.status_code == 429
        assert 1 <= int(refused["Retry-After"]) <= 60
        assert "Too many attempts to log in" in text(refused)
    codes = [details["code"] for _, _, _, details in entries()]
    assert codes == ["unauthenticated"] * MOST_FOR_A_NAME + ["rate_limited"]


def test_names_are_tried_from_one_address_so_often_in_a_minute(sam):
    early_in_a_minute()
    for number in range(MOST_FROM_AN_ADDRESS):
        assert log_in(name=f"user-{number}", password="x").status_code == 200
    assert log_in().status_code == 429
    assert log_in(name="another", password="x").status_code == 429
    assert len(entries()) == MOST_FROM_AN_ADDRESS + 1


def test_behind_a_proxy_callers_are_told_apart(sam):
    early_in_a_minute()
    for number in range(MOST_FROM_AN_ADDRESS):
        log_in(f"user-{number}", "x", **{"x-forwarded-for": "spoofed, 203.0.113.7, 127.0.0.1"})
    mine = {"x-forwarded-for": "203.0.113.7"}
    assert log_in(**mine).status_code == 429
    assert log_in(**{"x-forwarded-for": "203.0.113.8"}).status_code == 302


def test_right_logins_are_not_counted(sam):
    early_in_a_minute()
    for _ in range(MOST_FOR_A_NAME + 1):
        assert log_in().status_code == 302


def test_counts_of_past_minutes_are_swept_away(sam):
    log_in(name="made-up", password="x")
    LoginWindow.objects.update(minute=1)
    log_in(password="wrong")
    assert LoginWindow.objects.filter(minute=1).count() == 0
    assert LoginWindow.objects.count() == 2


def test_without_its_entry_nobody_gets_in(sam, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("the log is full")

    monkeypatch.setattr(logins, "record", fails)
    assert log_in().status_code == 500
    assert not Session.objects.exists()
    sam.refresh_from_db()
    assert sam.last_login is None


def test_a_logout_leaves_one_entry(sam):
    client = browser()
    log_in(client=client)
    assert client.post("/admin/logout/").status_code == 200
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    assert entries()[1:] == [("logout", "ok", "user:sam", {})]


def test_to_look_at_the_logout_changes_nothing(sam):
    client = browser()
    log_in(client=client)
    assert client.get("/admin/logout/").status_code == 405
    assert len(entries()) == 1


def change_password(client, old=PASSWORD, new="a new horse, another staple"):
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/admin/password_change/", form)


def test_a_changed_password_leaves_one_entry(sam):
    client = browser(sam)
    assert change_password(client).status_code == 302
    assert entries() == [("password_change", "ok", "user:sam", {})]


@pytest.mark.parametrize("new", ["short", "123456789012", "password1234"])
def test_a_password_that_is_easily_guessed_is_refused(sam, new):
    client = browser(sam)
    assert change_password(client, new=new).status_code == 200
    assert entries() == []


# ── the link ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def secret():
    return first_login.issue(now=timezone.now())


def test_a_link_that_is_used_leaves_one_entry(secret):
    assert use_link(secret).status_code == 302
    assert entries() == [("login", "ok", "user:operator", {"method": "link"})]
    assert secret not in str(list(AuditEntry.objects.values_list()))


def test_a_link_that_is_used_again_is_recorded_as_refused(secret):
    for status in (302, 410):
        assert use_link(secret).status_code == status
    assert entries()[1:] == [
        ("login", "refused", "nobody", {"code": "unauthenticated", "method": "link"})
    ]


def test_a_link_that_led_nowhere_is_not_used_up(secret, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("the log is full")

    with monkeypatch.context() as patched:
        patched.setattr(logins, "record", fails)
        assert use_link(secret).status_code == 500
    assert not Session.objects.exists()
    assert use_link(secret).status_code == 302


def test_a_link_for_an_operator_who_has_a_password_is_recorded_and_kept(secret):
    User.objects.create_user("operator", password=PASSWORD, is_staff=True)
    assert use_link(secret).status_code == 409
    assert first_login.is_open(secret, now=timezone.now())
    assert entries()[0][3] == {"code": "scope_missing", "method": "link"}


def test_links_are_guessed_so_often_in_a_minute(secret):
    early_in_a_minute()
    for _ in range(MOST_FROM_AN_ADDRESS):
        assert use_link("guess").status_code == 410
    refused = use_link(secret)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert first_login.is_open(secret, now=timezone.now())
