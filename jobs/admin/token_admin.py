"""Tokens in the console: list, page, making one through a confirm page, taking one back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from access.actions.tokens import NewToken, TokenWish, create_token, revoke_token
from access.errors import AccessError
from access.models import ApiToken, Tenant
from access.queries import (
    ACTIVE,
    EXPIRED,
    REVOKED,
    count_tokens,
    newest_tokens,
    state_of,
    token_document,
    unknown_tenants,
)
from access.readonly_admin import ReadOnlyAdmin
from access.scopes import TENANT_NAME, only_tenant
from jobs.admin import token_form
from jobs.admin.control import ReasonForm, origin_of, require, staff_actor
from jobs.admin.words import capped
from jobs.queries.overview import COUNTED_TO

MAKES: Final = "access.add_apitoken"
REVOKES: Final = "access.change_apitoken"
PAGE_TOKENS: Final = 50
OFFERED_TENANTS: Final = 200
"""Names that the form offers; others can be typed."""

STATES: Final = {"": "All", ACTIVE: "Active", EXPIRED: "Expired", REVOKED: "Revoked"}


@admin.register(ApiToken)
class TokenAdmin(ReadOnlyAdmin):
    """Who may call, what for and since when; the tokens themselves are shown once and kept nowhere.

    No page but the answer to making one ever holds a token.
    """

    plural = "Tokens"
    list_fragment = "console/tokens.html"
    object_fragment = "console/token.html"

    def more_urls(self) -> list[URLPattern]:
        """Return the addresses of what makes a token and takes one back."""
        view = self.admin_site.admin_view
        return [
            path("_new/", view(self.new_view), name="access_apitoken_new"),
            path("<str:identifier>/revoke/", view(self.revoke_view), name="access_apitoken_revoke"),
        ]

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return one page of tokens, the newest first."""
        now, state = timezone.now(), request.GET.get("state", "")
        state = state if state in STATES else ""
        before = _number(request.GET.get("before", ""))
        rows = newest_tokens(now=now, limit=PAGE_TOKENS + 1, state=state, before=before)
        counts = count_tokens(now=now, most=COUNTED_TO + 1)
        shown = rows[:PAGE_TOKENS]
        return {
            "tokens": [_row(token, now) for token in shown],
            "older": f"?state={state}&before={shown[-1].pk}" if len(rows) > PAGE_TOKENS else "",
            "newest": f"?state={state}" if before else "",
            "state": state,
            "states": [
                {"value": value, "word": word, "tokens": _counted(counts, value)}
                for value, word in STATES.items()
            ],
            "never_expire": counts["never_expire"],
            "may_make": request.user.has_perm(MAKES),
            "may_revoke": request.user.has_perm(REVOKES),
        }

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return one token's page."""
        now, token = timezone.now(), _found(identifier)
        return {
            "token": _row(token, now),
            "scopes": token_form.scopes_in_words(token.scopes),
            "tenant": only_tenant(token.scopes),
            "title": f"Token {token.name}",
            "may_revoke": request.user.has_perm(REVOKES),
        }

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Ask what the token shall be, then whether it shall, then make it and show it once."""
        self.require_view(request)
        require(request, MAKES)
        if request.method != "POST":
            tenant = request.GET.get("tenant", "")
            tenant = tenant if TENANT_NAME.fullmatch(tenant) else ""
            return self._ask(request, token_form.empty_form(tenant=tenant))
        now, form = timezone.now(), token_form.read_form(request.POST)
        if "back" in request.POST:
            return self._ask(request, form)
        wish = token_form.wish_of(form, now=now)
        if wish is None:
            return self._ask(request, form, status=400)
        reason = ReasonForm(request.POST if "confirmed" in request.POST else None)
        if not reason.is_valid():
            return self._confirm(request, form, wish, reason)
        return self._make(request, form, wish, reason.cleaned_data["reason"], now)

    def revoke_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Ask why, then take the token back."""
        self.require_view(request)
        require(request, REVOKES)
        token, now = _found(identifier), timezone.now()
        form = ReasonForm(request.POST if request.method == "POST" else None)
        page = reverse("admin:access_apitoken_change", args=[token.name])
        if form.is_valid():
            self._revoke(request, token, form.cleaned_data["reason"], now)
            return HttpResponseRedirect(page)
        context = {
            "heading": f"Revoke {token.name}?",
            "verb": f"Revoke {token.name}",
            "token": _row(token, now),
            "possible": token.revoked_at is None,
            "colour": "D",
            "form": form,
            "back": page,
        }
        return self._page(
            request, "console/token_revoke_page.html", context, 400 if form.is_bound else 200
        )

    def _revoke(self, request: HttpRequest, token: ApiToken, reason: str, now: datetime) -> None:
        origin = origin_of(request, reason)
        try:
            revoke_token(token.name, actor=staff_actor(request), now=now, origin=origin)
        except AccessError as error:
            messages.error(request, error.detail)
            return
        messages.success(
            request, f"{token.name} is revoked: it is refused from the next request on."
        )

    def _ask(
        self, request: HttpRequest, form: token_form.TokenForm, status: int = 200
    ) -> HttpResponse:
        tenants = Tenant.objects.values_list("name", flat=True)[:OFFERED_TENANTS]
        context = {
            "form": form,
            "scopes": token_form.SCOPES,
            "expiries": token_form.EXPIRIES,
            "tenants": list(tenants),
            "back": reverse("admin:access_apitoken_changelist"),
        }
        return self._page(request, "console/token_form_page.html", context, status)

    def _confirm(
        self,
        request: HttpRequest,
        form: token_form.TokenForm,
        wish: TokenWish,
        reason: ReasonForm,
    ) -> HttpResponse:
        scopes = list(wish.scopes)
        context = {
            "heading": f"Make the token {wish.name}?",
            "verb": f"Make {wish.name}",
            "wish": wish,
            "scopes": token_form.scopes_in_words(scopes),
            "warnings": token_form.warnings(wish),
            "strangers": unknown_tenants(scopes),
            "carried": form.carried(),
            "possible": True,
            "colour": "p",
            "form": reason,
            "back": reverse("admin:access_apitoken_changelist"),
            "may_go_back": True,
        }
        status = 400 if reason.is_bound else 200
        return self._page(request, "console/token_confirm_page.html", context, status)

    def _make(
        self,
        request: HttpRequest,
        form: token_form.TokenForm,
        wish: TokenWish,
        reason: str,
        now: datetime,
    ) -> HttpResponse:
        origin = origin_of(request, reason)
        try:
            made = create_token(wish, actor=staff_actor(request), now=now, origin=origin)
        except AccessError as error:
            form.errors[""] = error.detail
            return self._ask(request, form, status=409)
        return self._once(request, made, now)

    def _once(self, request: HttpRequest, made: NewToken, now: datetime) -> HttpResponse:
        """The answer to the POST itself: nothing that is kept leads back to it."""
        context = {"token": _row(made.row, now), "secret": made.secret}
        return self._page(request, "console/token_once_page.html", context, 200)

    def _page(
        self, request: HttpRequest, template: str, context: dict[str, Any], status: int
    ) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "title": self.plural, **context}
        return TemplateResponse(request, template, whole, status=status)


def _found(name: str) -> ApiToken:
    token = ApiToken.objects.filter(name=name).first() if TENANT_NAME.fullmatch(name) else None
    if token is None:
        raise Http404
    return token


def _row(token: ApiToken, now: datetime) -> dict[str, Any]:
    left = token.expires_at - now if token.expires_at else None
    active = state_of(token, now=now) == ACTIVE
    return {
        **token_document(token, now=now),
        "active": active,
        "expiry": token_form.expiry_in_words(token.expires_at, now=now),
        "ends_soon": active and (left is None or left < token_form.SOON),
    }


def _counted(counts: dict[str, int], state: str) -> str:
    found = counts[state] if state else counts[ACTIVE] + counts[EXPIRED] + counts[REVOKED]
    return capped(found)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
