"""Addresses below ``/v1/``; what is not here answers a 404 problem."""

from django.urls import path, re_path

from jobs.api.audit import AuditStatusView, AuditView
from jobs.api.base import UnknownAddress
from jobs.api.dead_letters import DeadLettersView
from jobs.api.declarations import VIEWS
from jobs.api.docs import DocsView, OpenApiView
from jobs.api.events import EventsView
from jobs.api.files import FileContentView, FilesView, FileView
from jobs.api.jobs import (
    CancelView,
    ExplainView,
    JobsView,
    JobView,
    ResumeView,
    RetryView,
    SuspendView,
)
from jobs.api.metrics import MetricsView, PrometheusView
from jobs.api.policies import PoliciesView, PolicyView
from jobs.api.report import ReportView, ResultsView
from jobs.api.tasks import TaskArtifactView, TasksView, TaskView
from jobs.api.workers import DrainView, WorkersView

urlpatterns = [
    path("jobs", JobsView.as_view()),
    path("jobs/<str:job>", JobView.as_view()),
    path("jobs/<str:job>/tasks", TasksView.as_view()),
    path("jobs/<str:job>/tasks/<str:task>", TaskView.as_view()),
    path("jobs/<str:job>/tasks/<str:task>/artifact", TaskArtifactView.as_view()),
    path("jobs/<str:job>/report", ReportView.as_view()),
    path("jobs/<str:job>/results", ResultsView.as_view()),
    path("jobs/<str:job>/events", EventsView.as_view()),
    path("jobs/<str:job>/explain", ExplainView.as_view()),
    path("jobs/<str:job>/cancel", CancelView.as_view()),
    path("jobs/<str:job>/suspend", SuspendView.as_view()),
    path("jobs/<str:job>/resume", ResumeView.as_view()),
    path("jobs/<str:job>/retry", RetryView.as_view()),
    path("files", FilesView.as_view()),
    path("files/<str:file>", FileView.as_view()),
    path("files/<str:file>/content", FileContentView.as_view()),
    path("policies", PoliciesView.as_view()),
    path("policies/<str:name>", PolicyView.as_view()),
    path("admin/queue/dead-letter", DeadLettersView.as_view()),
    path("admin/audit", AuditView.as_view()),
    path("admin/audit/status", AuditStatusView.as_view()),
    path("admin/workers", WorkersView.as_view()),
    path("admin/workers/<str:worker>/drain", DrainView.as_view()),
    path("metrics", MetricsView.as_view()),
    path("metrics/prometheus", PrometheusView.as_view()),
    *(path(f"admin/{kind}", views[0].as_view()) for kind, views in VIEWS.items()),
    *(path(f"admin/{kind}/<str:name>", views[1].as_view()) for kind, views in VIEWS.items()),
    path("openapi.json", OpenApiView.as_view(), name="openapi"),
    path("docs", DocsView.as_view(), name="docs"),
    re_path(r"", UnknownAddress.as_view()),
]
