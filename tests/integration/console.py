"""The console as a person sees it: a browser's requests, logged in with some permissions."""

import re

from django.contrib.auth.models import Permission, User
from django.test import Client

from access.first_login import local_operator

HOST = {"host": "localhost:8080"}


def browser(user=None):
    """A browser on the fabric's own machine."""
    client = Client(headers=HOST, raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    return client


def operator():
    """A browser of the local operator."""
    return browser(local_operator())


def staff(*permissions, name="sam"):
    """A browser of a staff user who has these permissions, each ``app.codename``."""
    # Without a password: to hash one takes longer than all the rest, and nobody logs in with it.
    user = User.objects.create_user(name, is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return browser(user)


def text(response):
    """The page's HTML."""
    return response.content.decode()


def page(console, address):
    """A page that was answered."""
    response = console.get(address)
    assert response.status_code == 200, address
    return text(response)


def plain(html):
    """What is read on a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def found(pattern: str, text: str) -> str:
    """The first group of the pattern where it is first found."""
    match = re.search(pattern, text, re.DOTALL)
    assert match, f"there is no {pattern} in {text[:2_000]}"
    return match[1]
