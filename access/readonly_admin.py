"""What every page of the console is built on: lists and pages that show, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

if TYPE_CHECKING:
    _ModelAdmin = ModelAdmin[Any]
else:
    _ModelAdmin = ModelAdmin


class ReadOnlyAdmin(_ModelAdmin):
    """A list and a page per object, each with a template of its own; no change form exists.

    A subclass names its templates and builds their contexts. Both pages, and the parts of them
    that the browser asks for again (``?fragment=1``), need the model's view permission.
    """

    list_page = "console/poll_page.html"
    list_fragment = "console/table.html"
    object_page = "console/poll_page.html"
    object_fragment = "console/facts.html"
    plural = ""
    """What the list is called."""
    every_seconds = 0
    """How often the browser asks for the page's figures again; 0 for never."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of list and page; those that add, change or delete are absent."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        site = self.admin_site
        return [
            path("", site.admin_view(self.list_view), name=f"{name}_changelist"),
            *self.more_urls(),
            path("<str:identifier>/", site.admin_view(self.object_view), name=f"{name}_change"),
        ]

    def more_urls(self) -> list[URLPattern]:
        """Return addresses that go before the object's page."""
        return []

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the list shows."""
        raise Http404

    def object_context(self, request: HttpRequest, identifier: str) -> dict[str, Any]:
        """Return what the page of one object shows. Raises Http404 where there is none."""
        raise Http404

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """Answer the list."""
        self.require_view(request)
        context = self.list_context(request)
        if columns := context.get("columns"):
            # On a phone each value stands beside its column's name.
            context["cells"] = [tuple(zip(columns, row, strict=True)) for row in context["rows"]]
        return self.answer(request, self.list_page, self.list_fragment, context)

    def object_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Answer the page of one object."""
        self.require_view(request)
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist"
        context = {
            "back": reverse(name),
            "plural": self.plural,
            **self.object_context(request, identifier),
        }
        return self.answer(request, self.object_page, self.object_fragment, context)

    def answer(
        self, request: HttpRequest, page: str, fragment: str, context: dict[str, Any]
    ) -> HttpResponse:
        """Return the whole page, or with ``?fragment=1`` the part that is asked for again."""
        if "fragment" in request.GET:
            return TemplateResponse(request, fragment, context)
        context = {
            **self.admin_site.each_context(request),
            "title": self.plural,
            "every_seconds": self.every_seconds,
            "fragment": fragment,
            **context,
        }
        return TemplateResponse(request, page, context)

    def require_view(self, request: HttpRequest) -> None:
        """Raise PermissionDenied without the model's view permission."""
        if not self.has_view_permission(request):
            needed = f"{self.opts.app_label}.view_{self.opts.model_name}"
            raise PermissionDenied(f"This page needs the permission {needed}.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is made here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is changed here but by its own confirm page."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted here."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The model's own view permission; that to change an object does not stand in for it."""
        return request.user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}")
