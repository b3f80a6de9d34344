"""Every address beside the API: the console is closed to who is not logged in, tokens or not."""

import re

import pytest

from tests.integration.console import HOST, browser, staff
from tests.integration.routes import TOKENS, World, addresses

pytestmark = pytest.mark.django_db

OPEN = {
    "healthz": "whether the process lives",
    "readyz": "whether it can serve",
    "admin/login/": "the way in",
    "admin/once/": "the way in by a link, which takes its secret in a POST",
    "admin/once/<str:secret>": "the page before it, on this machine only",
}
"""Addresses that answer somebody who is not known, and what for."""

OWN = {"admin/", "admin/figures/", "admin/search/", "admin/logout/"}
OWN |= {"admin/password_change/", "admin/password_change/done/", "admin/jsi18n/"}
"""Pages of the site itself, which every user of the console may ask for."""


def console_addresses():
    return sorted({address for address, _ in addresses() if not address.startswith("v1/")})


def filled(address):
    """The address with something in each place that takes a part."""
    address = re.sub(r"\^\(\?P<app_label>[a-z|]+\)/\$", "jobs/", address)
    address = address.replace("(?P<url>.*)$", "no-such-page/")
    return "/" + re.sub(r"<\w+:\w+>", "1", address)


def test_what_is_open_is_on_the_list():
    assert set(OPEN) <= set(console_addresses())


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete"])
def test_the_console_is_closed_to_who_is_not_logged_in(verb):
    for address in set(console_addresses()) - set(OPEN):
        response = getattr(browser(), verb)(filled(address))
        told = (response.status_code, response.get("Location", ""))
        assert told[0] == 302, (address, told)
        assert told[1].startswith("/admin/login/") or address == "admin/logout/", (address, told)


def test_no_token_opens_the_console(settings):
    settings.DAEF_API_TOKENS = TOKENS
    for name, role in World().roles.items():
        client = browser()
        for address in ("admin/", "admin/jobs/job/", "admin/access/tenant/"):
            response = client.get(
                filled(address), headers={**HOST, "authorization": role.header or ""}
            )
            assert response.status_code == 302, (name, address)


def test_a_user_without_permissions_sees_nothing_but_the_site_itself():
    client = staff()
    for address in set(console_addresses()) - set(OPEN) - OWN:
        status = client.get(filled(address)).status_code
        assert status in (403, 404) or address.startswith("admin/^("), (address, status)


def test_a_user_who_is_no_staff_sees_nothing():
    client = staff()
    from django.contrib.auth.models import User

    User.objects.update(is_staff=False)
    for address in set(console_addresses()) - set(OPEN):
        assert client.get(filled(address)).status_code == 302, address
