"""What the web server serves."""

import os

from django.core.wsgi import get_wsgi_application

from daef_site.children import exit_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "daef_site.settings")
application = get_wsgi_application()

from jobs import figures  # noqa: E402  # only now are Django's apps there

figures.start()

if os.environ.get("DAEF_SUPERVISED"):
    exit_with_parent()
