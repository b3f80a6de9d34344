"""What the web server serves."""

import os

from django.core.wsgi import get_wsgi_application

from daef_site.children import exit_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "daef_site.settings")
_django = get_wsgi_application()

from django.conf import settings  # noqa: E402

from daef_site import garbage, receiving, stalled  # noqa: E402 (they use what Django has set up)

application = receiving.with_places(
    _django,
    receiving.MAX_BODIES if settings.DAEF_POSTGRES_POOL_MAX else receiving.MAX_BODIES_WITHOUT_POOL,
)
stalled.watch(settings.DAEF_HTTP_ADDR[1])
receiving.allow_connections()

from jobs import figures  # noqa: E402  # only now are Django's apps there

figures.start()
garbage.collect_rarely()

if os.environ.get("DAEF_SUPERVISED"):
    exit_with_parent()

# The server makes the environment part of every request: error pages would show our secrets, and
# a variable called HTTP_… would be a header that nobody sent. Settings have read them by now.
for _name in [name for name in os.environ if name.startswith(("DAEF_", "HTTP_"))]:
    del os.environ[_name]
