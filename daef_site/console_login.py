"""The console's login: Django's form and view, with attempts counted and every end recorded."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from unfold.forms import AuthenticationForm

from access import logins
from access.errors import BadCredentials, RateExceeded
from audit.events import Door, Origin
from daef_site.https import client_address
from jobs.api.middleware import request_id_of

METHOD: Final = "password"


def origin_of(request: HttpRequest) -> Origin:
    """Return how somebody came to the console's door, for the audit log."""
    return Origin(Door.CONSOLE, request.META.get("REMOTE_ADDR", ""), request_id_of(request))


class ConsoleLoginForm(AuthenticationForm):
    """Name and password. ``retry_after_seconds`` is set where no password was looked at."""

    retry_after_seconds: int | None = None

    def clean(self) -> dict[str, Any]:
        """Count the attempt, then look at the password. Raises ValidationError."""
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not password:
            return super().clean()
        request, origin = self.request, origin_of(self.request)
        address = client_address(request)
        try:
            logins.take_attempt(name, address=address, method=METHOD, origin=origin)
        except RateExceeded as error:
            self.retry_after_seconds = error.retry_after_seconds
            raise ValidationError(error.detail, code=error.code) from error
        try:
            cleaned = super().clean()
        except ValidationError:
            logins.record_refusal(name, code=BadCredentials.code, method=METHOD, origin=origin)
            raise
        logins.give_back(name, address=address)
        return cleaned


class ConsoleLoginView(LoginView):
    """Logs in and records it in one transaction."""

    authentication_form = ConsoleLoginForm
    template_name = "admin/login.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Make the session of whom the form found."""
        response = super().form_valid(form)
        name = form.get_user().get_username()
        logins.record_login(name, method=METHOD, origin=origin_of(self.request))
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show what is wrong; 429 with Retry-After where there were too many attempts."""
        response = super().form_invalid(form)
        if form.retry_after_seconds is not None:
            response.status_code = 429
            response["Retry-After"] = str(form.retry_after_seconds)
        return response
