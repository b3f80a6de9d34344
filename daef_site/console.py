"""The console's site: unfold's, with the fabric's dashboard as its first page.

Who comes and goes is recorded here, where it happens; nothing waits for Django's signals.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from access import logins
from daef_site.appearance import NAVIGATION
from daef_site.console_login import ConsoleLoginView, origin_of


class ConsoleSite(UnfoldAdminSite):
    """Every page below ``/admin/``."""

    index_title = "Dashboard"
    index_template = "console/dashboard_page.html"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of all pages; the dashboard's figures have one of their own."""
        from jobs.admin.queue_pages import queue_urls

        figures = path("figures/", self.admin_view(self.figures), name="dashboard_figures")
        return [figures, *queue_urls(self), *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page shows round itself; RQ's own pages are told apart."""
        context = super().each_context(request)
        match = request.resolver_match
        if match is not None and match.namespace == "django_rq":
            context |= {"title": "RQ", "rq_pages": True}
        return context

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Answer the dashboard."""
        return super().index(request, {**_dashboard(request), **(extra_context or {})})

    def figures(self, request: HttpRequest) -> HttpResponse:
        """Answer the part of the dashboard that the browser asks for again."""
        return TemplateResponse(request, "console/dashboard.html", _dashboard(request))

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Answer what is called so: a page, or for unfold's palette (``extended``) a part of one.

        In the place of unfold's own, which keeps what one user found for five minutes.
        """
        text = request.GET.get("s", "")
        found = _search(request, text)
        if "extended" not in request.GET and len(found) == 1:
            return HttpResponseRedirect(found[0].link)
        palette = "extended" in request.GET
        context = {
            **({} if palette else self.each_context(request)),
            "title": "Search",
            "sought": text[:100],
            "found": found,
        }
        page = "console/search_palette.html" if palette else "console/search_page.html"
        return TemplateResponse(request, page, context)

    @method_decorator(never_cache)
    @login_not_required
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """Answer the login page, or log in. Those who are in go to the dashboard."""
        home = reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(home)
        view = ConsoleLoginView.as_view(
            extra_context={
                **self.each_context(request),
                "title": "Log in",
                "subtitle": None,
                "app_path": request.get_full_path(),
                "username": request.user.get_username(),
                **(extra_context or {}),
            },
            next_page=home,
        )
        return view(request)

    @method_decorator(never_cache)
    @transaction.atomic
    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """End the session."""
        name = request.user.get_username()
        response = super().logout(request, extra_context)
        if not request.user.is_authenticated:
            logins.record_logout(name, origin=origin_of(request))
        return response

    @transaction.atomic
    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Answer the form with which users change their own password, or change it."""
        response = super().password_change(request, extra_context)
        if isinstance(response, HttpResponseRedirect):
            name = request.user.get_username()
            logins.record_password_change(name, origin=origin_of(request))
        return response

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        """Send ``/admin/jobs/`` to the dashboard: the menu is beside it."""
        return HttpResponseRedirect(reverse("admin:index"))


def _dashboard(request: HttpRequest) -> dict[str, Any]:
    # Imported here: the modules beside it register their pages with this site when imported.
    from jobs.admin import dashboard

    return dashboard.context(request)


def _search(request: HttpRequest, text: str) -> list[Any]:
    """What is called so, then the pages of the menu whose title has the text in it."""
    from jobs.admin import search

    found = search.search(text, request.user)
    wanted = text.strip().lower()
    pages = [
        search.Found(item["title"], "Page", str(item["link"]), item["icon"])
        for group in NAVIGATION
        for item in group["items"]
        if wanted and wanted in item["title"].lower()
        if "permission" not in item or item["permission"](request)
    ]
    return [*found, *pages]
