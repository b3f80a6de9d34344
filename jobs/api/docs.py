"""``/v1/openapi.json`` and ``/v1/docs``: the schema, and the same to browse, from local files."""

from __future__ import annotations

from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from jobs.api.schema import DaefGenerator


class OpenApiView(SpectacularAPIView):
    """The generated schema; needs no token."""

    scope = "public"
    authentication_classes = ()
    renderer_classes = [OpenApiJsonRenderer]
    generator_class = DaefGenerator


class DocsView(SpectacularSwaggerView):
    """The browsable documentation, from the sidecar's local files."""

    scope = "public"
    schema = None
    authentication_classes = ()
    url_name = "openapi"
