"""Every address of the gateway."""

from django.contrib import admin
from django.urls import include, path

from daef_site import health

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
    path("v1/", include("jobs.api.urls")),
]

handler400 = "jobs.api.problems.bad_request"
handler403 = "jobs.api.problems.permission_denied"
handler404 = "jobs.api.problems.not_found"
handler500 = "jobs.api.problems.server_error"
