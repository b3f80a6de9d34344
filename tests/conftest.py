"""Fixtures: a private PostgreSQL and Redis, started when a test first needs them."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.servers import Stores, servers_for_tests

# A shell that runs the tests in its background has them ignore Ctrl-C, and so would every process
# that the tests start to see how it ends by one.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def static_files_found_when_asked_for() -> None:
    """Each test client has middleware of its own, which would list all static files first."""
    from django.conf import settings

    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(scope="session")
def make_folder() -> Iterator[Callable[[], Path]]:
    """Makes temporary folders that every user may pass through, as root's PostgreSQL needs.

    Not pytest's own: each new run closes /tmp/pytest-of-<user> to others, also under older runs.
    """
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="daef-test-")))
        made[-1].chmod(0o711)
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def test_stores(make_folder: Callable[[], Path]) -> Iterator[Stores]:
    """A PostgreSQL (nothing durable) and a Redis of our own in a temporary folder."""
    with servers_for_tests(make_folder()) as servers:
        yield servers


@pytest.fixture(scope="session")
def django_db_modify_db_settings(test_stores: Stores) -> None:
    """Point Django at the test run's servers before the test database is made."""
    from django.conf import settings
    from django.db import connections

    parts = settings_module().database(test_stores.postgres_dsn, pool_max=0)
    connections.settings["default"].update(parts)
    settings.DAEF_REDIS_URL = test_stores.redis_url
    settings.DAEF_REDIS_AGENT_URL = test_stores.agent_redis_url
    settings.DAEF_DATA_DIR = test_stores.data
    # A fabric that happens to run in this checkout is none of the tests' business.
    settings.DAEF_FABRIC = None


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Let Django empty the tables after a transactional test, which the audit log refuses."""
    from django.db import connection

    sql_flush = connection.ops.sql_flush

    def sql_flush_with_audit(*args, **kwargs) -> list[str]:
        return [
            "alter table audit_entry disable trigger user",
            *sql_flush(*args, **kwargs),
            "alter table audit_entry enable trigger user",
        ]

    connection.ops.sql_flush = sql_flush_with_audit  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def defaults(_django_db_marker: None, request: pytest.FixtureRequest) -> None:
    """What a new fabric starts with; emptying the tables after a transactional test took it."""
    if request.node.get_closest_marker("django_db") is None:
        return
    from django.apps import apps

    from jobs.models import Policy

    if not Policy.objects.exists():
        import_module("jobs.migrations.0002_storage_and_defaults").start_with_defaults(apps, None)


def settings_module():
    """The settings' module itself, for its functions."""
    from daef_site import settings

    return settings


@pytest.fixture
def redis_url(test_stores: Stores) -> Iterator[str]:
    """The URL of an empty Redis database."""
    import redis

    client = redis.Redis.from_url(test_stores.redis_url)
    client.flushdb()
    yield test_stores.redis_url
    client.close()
