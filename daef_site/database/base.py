"""Django's backend for DAEF; the module's name is the one Django looks for."""

from typing import Any

from django.db.utils import OperationalError
from django_prometheus.db.backends.postgresql import base

NO_STORE = (
    "No store: no fabric runs in the data folder ({data}). Start one with `make up` (or `python "
    "manage.py gateway`), or set DAEF_STORE=postgres and DAEF_POSTGRES_DSN=postgres://…"
)


class NoStore(OperationalError):
    """No database is known; the message says how to get one."""


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL counted by django-prometheus; without an address, an error that helps."""

    def get_connection_params(self) -> dict[str, Any]:
        """The parameters for psycopg. Raises NoStore where no store is known."""
        if not self.settings_dict["HOST"]:
            from django.conf import settings

            raise NoStore(NO_STORE.format(data=settings.DAEF_DATA_DIR))
        params: dict[str, Any] = super().get_connection_params()
        return params
