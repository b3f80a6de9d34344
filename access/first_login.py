"""The first way into the console: a link that logs a local operator in once, for an hour.

Nothing has a default password. The link's secret is known to whoever reads the terminal; the
database keeps its SHA-256 only, and the row's deletion is its use.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import Permission, User
from django.db.models import Q
from django.http import HttpRequest

from access.authentication import LOOPBACK_NAMES, PROXY_HEADERS, is_loopback
from access.errors import NotAllowed
from access.models import FirstLogin

LIFETIME: Final = timedelta(minutes=60)
SECRET_BYTES: Final = 32
OPERATOR_NAME: Final = "operator"
CONTROLS: Final = (
    "change_job",
    "change_deadletter",
    "change_worker",
    "add_apitoken",
    "change_apitoken",
    "change_tenant",
    "change_policy",
    "change_modelendpoint",
    "change_pool",
)
"""Django's permissions that the console asks for before it changes something."""


def issue(*, now: datetime) -> str:
    """Return the secret of a new link; rows of links that have expired are dropped."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    FirstLogin.objects.filter(expires_at__lte=now).delete()
    FirstLogin.objects.create(digest=_digest(secret), expires_at=now + LIFETIME)
    return secret


def is_open(secret: str, *, now: datetime) -> bool:
    """Tell whether the link would still log in; changes nothing."""
    return FirstLogin.objects.filter(digest=_digest(secret), expires_at__gt=now).exists()


def redeem(secret: str, *, now: datetime) -> bool:
    """Use the link up; True for exactly one caller, whoever else tries at the same moment."""
    deleted, _ = FirstLogin.objects.filter(digest=_digest(secret), expires_at__gt=now).delete()
    return deleted == 1


def local_operator() -> User:
    """Return the user ``operator`` without a password, who sees and may do everything.

    Raises NotAllowed where somebody made a user of that name with a password, or switched it off.
    """
    user, made = User.objects.get_or_create(username=OPERATOR_NAME, defaults={"is_staff": True})
    if made:
        user.set_unusable_password()
        user.save()
    if user.has_usable_password() or not (user.is_active and user.is_staff):
        raise NotAllowed(
            "The user 'operator' has a password or was switched off, so links do not log it in. "
            "Log in at /admin/login/, or make another user: python manage.py createsuperuser"
        )
    user.user_permissions.set(_permissions())
    return user


def comes_from_this_machine(request: HttpRequest) -> bool:
    """Tell whether a request came over loopback, by a loopback name, and past no proxy."""
    host = request.META.get("HTTP_HOST", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return (
        is_loopback(request.META.get("REMOTE_ADDR", ""))
        and name.lower() in LOOPBACK_NAMES
        and not any(header in request.META for header in PROXY_HEADERS)
    )


def _permissions() -> list[Permission]:
    wanted = Q(codename__startswith="view_") | Q(codename__in=CONTROLS)
    ours = Q(content_type__app_label__in=("jobs", "access", "audit"))
    return list(Permission.objects.filter(wanted & ours))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
