"""The console's site: unfold's, with the fabric's dashboard as its first page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite


class ConsoleSite(UnfoldAdminSite):
    """Every page below ``/admin/``."""

    index_title = "Dashboard"
    index_template = "console/dashboard_page.html"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of all pages; the dashboard's figures have one of their own."""
        figures = path("figures/", self.admin_view(self.figures), name="dashboard_figures")
        return [figures, *super().get_urls()]

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Answer the dashboard."""
        return super().index(request, {**_dashboard(request), **(extra_context or {})})

    def figures(self, request: HttpRequest) -> HttpResponse:
        """Answer the part of the dashboard that the browser asks for again."""
        return TemplateResponse(request, "console/dashboard.html", _dashboard(request))

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseRedirect:
        """Send ``/admin/jobs/`` to the dashboard: the menu is beside it."""
        return HttpResponseRedirect(reverse("admin:index"))


def _dashboard(request: HttpRequest) -> dict[str, Any]:
    # Imported here: the modules beside it register their pages with this site when imported.
    from jobs.admin import dashboard

    return dashboard.context(request)
