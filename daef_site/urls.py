"""Every address of the gateway."""

from django.contrib import admin
from django.urls import include, path

from daef_site import first_login, health
from jobs.admin.queue_pages import rq_urls

urlpatterns = [
    path("healthz", health.HealthView.as_view(), name="healthz"),
    path("readyz", health.ReadinessView.as_view(), name="readyz"),
    path("admin/once/", include(first_login.urlpatterns)),
    path("admin/rq/", include((rq_urls(admin.site), "django_rq"))),
    path("admin/", admin.site.urls),
    path("v1/", include("jobs.api.urls")),
]

handler400 = "jobs.api.problems.bad_request"
handler403 = "daef_site.error_pages.permission_denied"
handler404 = "daef_site.error_pages.not_found"
handler500 = "daef_site.error_pages.server_error"
