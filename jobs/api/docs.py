"""``/v1/openapi.json`` and ``/v1/docs``: the schema, and the same to browse, from local files."""

from __future__ import annotations

from functools import cache

from django.http import HttpResponse
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.request import Request

from access.tokens import any_token
from jobs.api.base import ApiView
from jobs.api.schema import openapi_text

OPENAPI_TYPE = "application/vnd.oai.openapi+json"


class OpenApiView(ApiView):
    """The generated schema; needs no token, as whoever writes a client may have none yet."""

    scope = "public"
    authentication_classes = ()

    def get(self, request: Request) -> HttpResponse:
        """Answer the document that is kept in the repository, or that of an open door."""
        return HttpResponse(_document(door_is_open=not any_token()), content_type=OPENAPI_TYPE)


class DocsView(SpectacularSwaggerView):
    """The browsable documentation, from the sidecar's local files."""

    scope = "public"
    schema = None
    authentication_classes = ()
    url_name = "openapi"
    # The library answers OPTIONS with a page that it has no template for.
    http_method_names = ["get", "head"]


@cache
def _document(*, door_is_open: bool) -> bytes:
    """Each made once a process: anybody may ask, and making one takes about a second."""
    return openapi_text(door_is_open=door_is_open).encode()
