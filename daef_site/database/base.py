"""Django's backend for DAEF; the module's name is the one Django looks for."""

import sys
from functools import cache
from typing import Any

import psycopg
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base as postgresql
from django.db.utils import OperationalError
from django_prometheus.db.backends.postgresql import base
from django_prometheus.db.common import ExportingCursorWrapper

from daef_site.database.pool import Connection, Pool

NO_STORE = (
    "No store: no fabric runs in the data folder ({data}). Start one with `make up` (or `python "
    "manage.py gateway`), or set DAEF_STORE=postgres and DAEF_POSTGRES_DSN=postgres://…"
)


class NoStore(OperationalError):
    """No database is known; the message says how to get one."""


class PreparedCursor(psycopg.Cursor[tuple[object, ...]]):
    """Has its statements prepared: PostgreSQL plans them once for each connection."""

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run a statement, prepared from the first time on."""
        return super().execute(*args, **{"prepare": True, **options})


# A class for each kind of cursor: django-prometheus makes one at every start of a connection's use,
# which costs more than a small statement.
_counted = cache(ExportingCursorWrapper)


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL counted by django-prometheus; without an address, an error that helps."""

    def get_connection_params(self) -> dict[str, Any]:
        """The parameters for psycopg. Raises NoStore where no store is known."""
        if not self.settings_dict["HOST"]:
            from django.conf import settings

            raise NoStore(NO_STORE.format(data=settings.DAEF_DATA_DIR))
        params: dict[str, Any] = postgresql.DatabaseWrapper.get_connection_params(self)
        params["cursor_factory"] = _counted(params["cursor_factory"], self.alias, self.vendor)
        return params

    def prepared_cursor(self) -> Any:
        """A cursor that prepares what it runs, where the connections are kept in our pool.

        Without the pool each request has a connection of its own, or one of a pooler's that may be
        another in the next transaction.
        """
        kind = PreparedCursor if self.pool else psycopg.Cursor
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = _counted(kind, self.alias, self.vendor)(self.connection)
        return self._prepare_cursor(cursor)

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
        # Any number allows preparing; this one leaves it to those who ask for it.
        connection.prepare_threshold = sys.maxsize
        self._configure_connection(connection)
        return connection
