"""Django's backend for DAEF; the module's name is the one Django looks for."""

from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.utils import OperationalError
from django_prometheus.db.backends.postgresql import base

from daef_site.database.pool import Connection, Pool

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

    @property
    def pool(self) -> Pool | None:
        """Our own pool in the place of Django's; None where none is asked for."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, Pool] = self._connection_pools
        if self.alias not in pools:
            # Several threads may come here at once; the first one's pool is everybody's.
            pools.setdefault(self.alias, Pool(self._open_for_pool, **options))
        return pools[self.alias]

    def _open_for_pool(self) -> Connection:
        # Django switches autocommit as it needs it, and expects it to be on at first.
        connection: Connection = self.Database.connect(
            **self.get_connection_params() | {"autocommit": True}
        )
        self._configure_connection(connection)
        return connection
