"""What operators declare, in the console: a form, a confirm page with the difference, one action.

The action is the one behind ``PUT /v1/admin/…``. The confirm page carries the ETag of what the form
was filled from, so that nobody changes what somebody else has changed meanwhile without seeing it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from access.readonly_admin import ReadOnlyAdmin
from jobs.actions.declare import Condition, Declared, declare, declared
from jobs.admin import declared_fields
from jobs.admin.control import ReasonForm, origin_of, require, staff_actor
from jobs.admin.declared_fields import SettingsForm
from jobs.errors import DaefError, PreconditionFailed
from jobs.planner.declarations import NAME_FORMS, Spec, entity_tag, is_name

NAME_CHARACTERS = 63


class DeclaredAdmin(ReadOnlyAdmin):
    """Base of the pages of one kind: list and page of a subclass, form and confirm page of ours."""

    kind: ClassVar[str]
    one: ClassVar[str]
    """What an object is called: ``policy``."""
    takes_effect: ClassVar[str]
    """When a change is felt."""
    start: ClassVar[Spec]
    """What the form for a new one shows."""

    def more_urls(self) -> list[URLPattern]:
        """Return the addresses of the forms. No object's name begins with an underscore."""
        view = self.admin_site.admin_view
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("_new/", view(self.new_view), name=f"{name}_new"),
            path("<str:identifier>/edit/", view(self.edit_view), name=f"{name}_edit"),
        ]

    def cautions(self, name: str, before: Spec | None, after: Spec) -> list[str]:
        """Return what somebody should think of before this change is made."""
        return []

    def may_declare(self, request: HttpRequest) -> bool:
        """Whether the user may declare objects of this kind."""
        return request.user.has_perm(self._permission())

    def found(self, identifier: str) -> Declared:
        """Return the object as it was declared. Raises Http404."""
        known = declared(self.kind, identifier) if is_name(self.kind, identifier) else None
        if known is None:
            raise Http404
        return known

    def address(self, page: str, *names: str) -> str:
        """Return the address of a page: ``changelist``, ``change``, ``new`` or ``edit``."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=names)

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for a new object."""
        return self._declare(request, None)

    def edit_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Ask how an object shall be."""
        self.require_view(request)
        return self._declare(request, self.found(identifier))

    def _declare(self, request: HttpRequest, known: Declared | None) -> HttpResponse:
        self.require_view(request)
        require(request, self._permission())
        if request.method != "POST":
            shown = declared_fields.form_of(self.kind, known.spec if known else self.start)
            return self._ask(request, known, shown)
        form = declared_fields.read_form(self.kind, request.POST)
        if "back" in request.POST:
            return self._ask(request, known, form)
        name = known.name if known else _typed_name(request)
        spec = declared_fields.spec_of(form)
        if known is None:
            self._check_name(name, form)
        if spec is None or form.errors:
            return self._ask(request, known, form, status=400)
        reason = ReasonForm(request.POST if "confirmed" in request.POST else None)
        if not reason.is_valid():
            status = 400 if reason.is_bound else 200
            return self._confirm(request, known, name, form, spec, reason, status)
        return self._do(request, known, name, form, spec, reason)

    def _check_name(self, name: str, form: SettingsForm) -> None:
        if not is_name(self.kind, name):
            form.errors["name"] = NAME_FORMS[self.kind][1]
        elif declared(self.kind, name) is not None:
            form.errors["name"] = f"there is a {self.one} of this name; change that one"

    def _do(
        self,
        request: HttpRequest,
        known: Declared | None,
        name: str,
        form: SettingsForm,
        spec: Spec,
        reason: ReasonForm,
    ) -> HttpResponse:
        state = request.POST.get("state", "")[:100]
        condition = Condition((state,)) if known else Condition(only_new=True)
        try:
            done = declare(
                kind=self.kind,
                name=name,
                spec=spec,
                condition=condition,
                actor=staff_actor(request),
                origin=origin_of(request, reason.cleaned_data["reason"]),
            )
        except PreconditionFailed:
            return self._changed_meanwhile(request, name, form, spec, reason)
        except DaefError as error:
            form.errors[""] = error.detail
            return self._ask(request, known, form, status=error.http_status)
        messages.success(request, self._told(done))
        return HttpResponseRedirect(self.address("change", name))

    def _told(self, done: Declared) -> str:
        made = "is made" if done.created else "is changed"
        revision = f", revision {done.revision}" if done.revision else ""
        return f"The {self.one} {done.name} {made}{revision}. {self.takes_effect}"

    def _changed_meanwhile(
        self,
        request: HttpRequest,
        name: str,
        form: SettingsForm,
        spec: Spec,
        reason: ReasonForm,
    ) -> HttpResponse:
        """Show the difference from what it is by now."""
        known = declared(self.kind, name)
        return self._confirm(request, known, name, form, spec, reason, 409)

    def _ask(
        self,
        request: HttpRequest,
        known: Declared | None,
        form: SettingsForm,
        status: int = 200,
    ) -> HttpResponse:
        context = {
            "heading": f"Change {known.name}" if known else f"New {self.one}",
            "known": known,
            "name": _typed_name(request),
            "state": _state(request, known),
            "form": form,
            "rows": form.rows(),
            "name_help": NAME_FORMS[self.kind][1].capitalize() + ".",
            "back": self._back(known),
        }
        return self._page(request, "console/declared_form_page.html", context, status)

    def _confirm(
        self,
        request: HttpRequest,
        known: Declared | None,
        name: str,
        form: SettingsForm,
        spec: Spec,
        reason: ReasonForm,
        status: int,
    ) -> HttpResponse:
        """Show the difference; with status 409 from a state that the caller had not seen."""
        before = known.spec if known else None
        rows = declared_fields.differences(self.kind, before, spec)
        meanwhile = status == 409
        state = entity_tag(known.spec) if known and meanwhile else _state(request, known)
        verb = f"Change {name}" if known else f"Make {name}"
        context = {
            "heading": f"{verb}?",
            "verb": verb,
            "colour": "p",
            "known": known,
            "differences": rows,
            "meanwhile": meanwhile,
            "cautions": self.cautions(name, before, spec),
            "takes_effect": self.takes_effect,
            "carried": [("name", name), ("state", state), *form.carried()],
            "possible": bool(rows),
            "form": reason,
            "back": self._back(known),
            "may_go_back": True,
        }
        return self._page(request, "console/declared_confirm_page.html", context, status)

    def _back(self, known: Declared | None) -> str:
        return self.address("change", known.name) if known else self.address("changelist")

    def _page(
        self, request: HttpRequest, template: str, context: dict[str, Any], status: int
    ) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "title": self.plural, **context}
        return TemplateResponse(request, template, whole, status=status)

    def _permission(self) -> str:
        return f"{self.opts.app_label}.change_{self.opts.model_name}"


def _typed_name(request: HttpRequest) -> str:
    return request.POST.get("name", "").strip()[: NAME_CHARACTERS + 1]


def _state(request: HttpRequest, known: Declared | None) -> str:
    """The ETag of what the form was filled from: what came along, else as it is now."""
    given = request.POST.get("state", "")[:100]
    return given or (entity_tag(known.spec) if known else "")
