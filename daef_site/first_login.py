"""The one-time link into the console: its address, and the two pages behind it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from access import first_login, logins
from access.errors import BadCredentials, NotAllowed, RateExceeded
from daef_site import env, fabric
from daef_site.console_login import origin_of
from daef_site.https import client_address

SESSION_SECONDS: Final = 12 * 3600
"""How long the operator stays logged in: a working day."""

SPENT: Final = "This link was used or has expired. Get another: python manage.py first_login"
ELSEWHERE: Final = "This link works on the fabric's own machine only, by a loopback address."

METHOD: Final = "link"
"""How the audit log tells this way in from a password."""

View = Callable[..., HttpResponse]


def loopback_address() -> str | None:
    """Return ``host:port`` of the gateway, or None where it listens to other machines.

    None with https as well: the session's cookie would not come back over plain HTTP.
    """
    found: fabric.Fabric | None = settings.DAEF_FABRIC
    host, port = settings.DAEF_HTTP_ADDR
    if settings.DAEF_HTTPS or not env.is_loopback(host):
        return None
    return found.http if found else env.shown_address(host, port)


def new_link(address: str) -> str:
    """Return a fresh link to the gateway at ``address`` (``host:port``)."""
    return f"http://{address}/admin/once/{first_login.issue(now=timezone.now())}"


def discreet(view: View) -> View:
    """Keep a page out of caches, and its address out of everything that follows it."""

    @wraps(view)
    def answer(request: HttpRequest, **parts: str) -> HttpResponse:
        local = first_login.comes_from_this_machine(request) and loopback_address() is not None
        response = view(request, **parts) if local else _told(request, ELSEWHERE, 403)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"
        # Django logs the address of a refused request; this one may hold a secret.
        setattr(response, "_has_been_logged", True)  # noqa: B010 (no part of HttpResponse's type)
        return response

    return answer


# Exempt like the other: a check that fails logs the address, and it changes nothing.
@csrf_exempt
@discreet
def ask(request: HttpRequest, secret: str) -> HttpResponse:
    """Show the button that logs in, so that whatever merely looks at links uses none up."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not first_login.is_open(secret, now=timezone.now()):
        return _told(request, SPENT, 410)
    return _page(request, {"secret": secret}, 200)


# No other site can know the secret, so it protects the form as well as a CSRF token would; and
# without a referrer browsers send "Origin: null", which Django's own check refuses.
@csrf_exempt
@discreet
@require_POST
def log_in(request: HttpRequest) -> HttpResponse:
    """Use the link up and log the operator in."""
    origin = origin_of(request)
    try:
        logins.take_attempt("", address=client_address(request), method=METHOD, origin=origin)
        return _log_in(request)
    except RateExceeded as error:
        response = _told(request, error.detail, 429)
        response["Retry-After"] = str(error.retry_after_seconds)
        return response
    except (BadCredentials, NotAllowed) as error:
        logins.record_refusal("", code=error.code, method=METHOD, origin=origin)
        return _told(request, error.detail, 410 if isinstance(error, BadCredentials) else 409)


@transaction.atomic
def _log_in(request: HttpRequest) -> HttpResponse:
    """All of it or nothing: a link that led nowhere is not used up."""
    if not first_login.redeem(request.POST.get("secret", ""), now=timezone.now()):
        raise BadCredentials(SPENT)
    operator = first_login.local_operator()
    login(request, operator, backend="django.contrib.auth.backends.ModelBackend")
    request.session.set_expiry(SESSION_SECONDS)
    logins.give_back("", address=client_address(request))
    logins.record_login(operator.get_username(), method=METHOD, origin=origin_of(request))
    return HttpResponseRedirect(reverse("admin:index"))


def _told(request: HttpRequest, text: str, status: int) -> HttpResponse:
    return _page(request, {"refusal": text}, status)


def _page(request: HttpRequest, context: dict[str, str], status: int) -> HttpResponse:
    whole = {**admin.site.each_context(request), "title": "First login", **context}
    return render(request, "console/first_login.html", whole, status=status)


urlpatterns = [
    path("", log_in, name="first_login"),
    path("<str:secret>", ask, name="first_login_link"),
]
