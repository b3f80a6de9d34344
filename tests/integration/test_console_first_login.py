"""The one-time link: it logs the local operator in, once, on this machine, within an hour."""

import re
import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from access import first_login
from access.models import FirstLogin
from tests.integration.console import HOST, browser, text


@pytest.fixture
def secret(db):
    return first_login.issue(now=timezone.now())


def use(secret, client=None, **headers):
    return (client or browser()).post("/admin/once/", {"secret": secret}, **headers)


def test_the_link_asks_before_it_logs_in(secret):
    page = browser().get(f"/admin/once/{secret}")
    assert page.status_code == 200
    assert "Log in as operator" in text(page)
    assert first_login.is_open(secret, now=timezone.now())


def test_the_link_logs_the_operator_in(secret):
    client = browser()
    assert use(secret, client)["Location"] == "/admin/"
    page = client.get("/admin/")
    assert page.status_code == 200
    assert page.wsgi_request.user.username == "operator"


def test_the_operator_has_no_password_and_is_no_superuser(secret):
    use(secret)
    operator = User.objects.get(username="operator")
    assert operator.is_staff
    assert not operator.is_superuser
    assert not operator.has_usable_password()


def test_the_operator_sees_everything_and_may_do_what_the_console_offers(db):
    permissions = first_login.local_operator().get_all_permissions()
    assert {"jobs.view_job", "jobs.view_taskinput", "access.view_tenant"} <= permissions
    changes = {name for name in permissions if ".view_" not in name}
    assert {name.partition(".")[2] for name in changes} == set(first_login.CONTROLS)
    assert not [name for name in changes if ".delete_" in name]


def test_a_link_works_once(secret):
    assert use(secret).status_code == 302
    again = use(secret)
    assert again.status_code == 410
    assert "manage.py first_login" in text(again)


def test_a_used_link_says_how_to_get_another(secret):
    use(secret)
    page = browser().get(f"/admin/once/{secret}")
    assert page.status_code == 410
    assert "manage.py first_login" in text(page)


def test_a_link_expires_after_an_hour(db):
    made = timezone.now() - timedelta(minutes=60, seconds=1)
    assert use(first_login.issue(now=made)).status_code == 410


def test_a_guess_is_refused(secret):
    client = browser()
    assert use("guess", client).status_code == 410
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_only_the_hash_of_the_secret_is_kept(secret):
    row = FirstLogin.objects.values_list().get()
    assert secret not in str(row)
    assert len(row[0]) == 64


def test_a_secret_has_at_least_128_bits(secret):
    assert len(secret) * 6 >= 128


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_link_at_the_same_moment_one_gets_in():
    secret, start, won = first_login.issue(now=timezone.now()), threading.Barrier(8), []

    def try_it():
        start.wait()
        won.append(first_login.redeem(secret, now=timezone.now()))
        connection.close()

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


@pytest.mark.parametrize(
    "strange",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_FORWARDED": "for=192.0.2.7"},
    ],
)
def test_a_link_does_not_work_from_another_machine(secret, strange):
    assert browser().get(f"/admin/once/{secret}", **strange).status_code == 403
    assert use(secret, **strange).status_code == 403
    assert first_login.is_open(secret, now=timezone.now())


def test_a_link_does_not_work_by_another_name(secret, settings):
    settings.ALLOWED_HOSTS = ["fabric.example"]
    page = browser().get(f"/admin/once/{secret}", headers={"host": "fabric.example"})
    assert page.status_code == 403


def test_a_link_does_not_work_where_the_gateway_listens_to_others(secret, settings):
    settings.DAEF_HTTP_ADDR = ("0.0.0.0", 8080)
    assert use(secret).status_code == 403


@pytest.mark.parametrize("known", [True, False])
def test_the_pages_stay_out_of_caches_and_referrers(secret, known):
    page = browser().get(f"/admin/once/{secret if known else 'guess'}")
    assert page["Cache-Control"] == "no-store"
    assert page["Referrer-Policy"] == "no-referrer"


def test_a_refused_secret_is_in_no_log(secret, caplog):
    browser().get(f"/admin/once/{secret}", REMOTE_ADDR="192.0.2.7")
    use(secret)
    browser().get(f"/admin/once/{secret}")
    assert secret not in caplog.text


@pytest.mark.parametrize("method", ["post", "put", "head", "delete"])
def test_a_secret_is_in_no_log_whatever_is_done_to_its_address(secret, method, caplog):
    client = Client(headers=HOST, enforce_csrf_checks=True)
    getattr(client, method)(f"/admin/once/{secret}")
    assert secret not in caplog.text
    assert first_login.is_open(secret, now=timezone.now())


def test_a_browser_that_hides_where_it_comes_from_is_let_in(secret):
    client = Client(headers=HOST, enforce_csrf_checks=True)
    assert use(secret, client, headers={"origin": "null"}).status_code == 302


def test_an_operator_who_was_switched_off_is_not_let_in(secret):
    first_login.local_operator()
    User.objects.update(is_active=False)
    assert use(secret).status_code == 409
    assert first_login.is_open(secret, now=timezone.now())


def test_a_user_with_a_password_is_never_taken_over(secret):
    User.objects.create_superuser("operator", password="of somebody else")
    assert use(secret).status_code == 409


def test_the_command_prints_a_link_that_works(db):
    out = StringIO()
    call_command("first_login", stdout=out)
    found = re.fullmatch(r"http://[^/]+/admin/once/(\S+)\n", out.getvalue())
    assert found
    assert use(found[1]).status_code == 302


def test_the_command_refuses_where_the_gateway_listens_to_others(db, settings):
    settings.DAEF_HTTP_ADDR = ("0.0.0.0", 8080)
    with pytest.raises(CommandError, match="createsuperuser"):
        call_command("first_login")
    assert not FirstLogin.objects.exists()


def test_nobody_has_a_password_at_first(db):
    assert not User.objects.exists()
