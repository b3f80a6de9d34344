"""How the console looks, and its menu: the settings of django-unfold.

Imported by the settings, so nothing here needs Django's apps before a request comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

Allowed = Callable[[HttpRequest], bool]


def _may(permission: str) -> Allowed:
    return lambda request: request.user.has_perm(permission)


def _item(title: str, icon: str, name: str, permission: str | None = None) -> dict[str, Any]:
    item = {"title": title, "icon": icon, "link": reverse_lazy(name)}
    return item if permission is None else {**item, "permission": _may(permission)}


def _asset(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(f"daef/{name}")


NAVIGATION: Final[list[dict[str, Any]]] = [
    {
        "items": [
            _item("Dashboard", "dashboard", "admin:index"),
            _item("Jobs", "list", "admin:jobs_job_changelist", "jobs.view_job"),
            _item("Tasks", "task", "admin:jobs_task_changelist", "jobs.view_job"),
            _item(
                "Dead letters",
                "inbox",
                "admin:jobs_deadletter_changelist",
                "jobs.view_deadletter",
            ),
        ]
    },
    {
        "title": "Fleet",
        "items": [
            _item("Workers", "dns", "admin:jobs_worker_changelist", "jobs.view_worker"),
            _item("Pools", "stacks", "admin:jobs_pool_changelist", "jobs.view_pool"),
            _item(
                "Model endpoints",
                "memory",
                "admin:jobs_modelendpoint_changelist",
                "jobs.view_modelendpoint",
            ),
        ],
    },
    {
        "title": "Access",
        "items": [
            _item("Tenants", "apartment", "admin:access_tenant_changelist", "access.view_tenant"),
            _item("Tokens", "key", "admin:access_apitoken_changelist", "access.view_apitoken"),
            _item("Policies", "shield", "admin:jobs_policy_changelist", "jobs.view_policy"),
        ],
    },
    {
        "title": "Record",
        "items": [
            _item(
                "Audit log", "history", "admin:audit_auditentry_changelist", "audit.view_auditentry"
            ),
        ],
    },
    {
        "title": "Underneath",
        "items": [
            _item("Queues", "format_list_numbered", "admin:queues", "jobs.view_pool"),
            {"title": "API docs", "icon": "menu_book", "link": "/v1/docs"},
        ],
    },
]
"""An item without its permission is absent, not grey."""

UNFOLD: Final[dict[str, Any]] = {
    "SITE_TITLE": "DAEF",
    "SITE_HEADER": "DAEF",
    "SITE_SYMBOL": "layers",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [_asset("console.css")],
    "SCRIPTS": [_asset("console.js")],
    "SIDEBAR": {"navigation": NAVIGATION, "show_search": True},
}
