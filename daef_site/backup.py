"""Dumps of the database, taken while work goes on, and put back into the embedded store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from django.db import connection, connections
from psycopg import sql

from audit.events import Door, Origin
from daef_site import fabric, ground, local, stores
from daef_site import settings as site_settings
from daef_site.migrations_lock import apply_migrations
from daef_site.processes import CannotStart
from daef_site.supervisor import say
from jobs import integrity
from jobs.actions import restoring

DATABASE = "daef"
UNFINISHED = "daef_restoring"
TLS_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey")


def take(file: Path) -> None:
    """Write a dump of the whole database, as it is at this moment, to a new private file.

    Raises CannotStart; then there is no such file.
    """
    connection.ensure_connection()
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with _new_private(file, unfinished) as output:
            _run("pg_dump", ["--format=custom"], _server(connection.settings_dict), output)
        # A link fails where a file is, a renaming would replace it.
        os.link(unfinished, file)
    except FileExistsError as error:
        raise CannotStart(f"{file} is there already; name another file.") from error
    except OSError as error:
        raise CannotStart(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    say("backup", f"{file} · {file.stat().st_size:,} bytes")


def _new_private(file: Path, unfinished: Path) -> IO[bytes]:
    if file.exists():
        raise FileExistsError
    return os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def put_back(file: Path, *, replace: bool) -> None:
    """Make the embedded store what the dump holds; with ``replace`` also one that has jobs.

    The store is as before until the dump is in. Raises CannotStart or StoreFailed.
    """
    if settings.DAEF_STORE != "embedded":
        raise CannotStart(
            "restore is for DAEF_STORE=embedded. Elsewhere: create an empty database, then "
            "`pg_restore --no-owner --exit-on-error --dbname=…` into it, and start the gateway."
        )
    if not file.is_file():
        raise CannotStart(f"{file} is no file; name a dump that `manage.py backup` wrote.")
    fabric.make_data_folder(settings.DAEF_DATA_DIR)
    lock = local.take_lock(settings.DAEF_DATA_DIR)
    if lock is None:
        raise CannotStart(f"a fabric runs in {settings.DAEF_DATA_DIR}; stop it first.")
    with lock:
        server = stores.Postgres(settings.DAEF_DATA_DIR, keep=True)
        try:
            stores.start(server)
            _exchange(server, file, replace)
            _open_up(server)
        finally:
            server.stop()


def _exchange(server: stores.Postgres, file: Path, replace: bool) -> None:
    if not replace and _has_jobs(server.dsn):
        raise CannotStart(
            f"the store in {settings.DAEF_DATA_DIR} has jobs. Take a backup of it, then say "
            "--replace to give it up, or name another DAEF_DATA_DIR."
        )
    parts = site_settings.database(server.dsn, pool_max=0)
    with psycopg.connect(server.dsn, dbname="postgres", autocommit=True) as session:
        _drop(session, UNFINISHED)
        session.execute(sql.SQL("create database {}").format(sql.Identifier(UNFINISHED)))
        options = ["--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={UNFINISHED}"]
        _run("pg_restore", [*options, str(file)], _server(parts), None)
        _drop(session, DATABASE)
        session.execute(
            sql.SQL("alter database {} rename to {}").format(
                sql.Identifier(UNFINISHED), sql.Identifier(DATABASE)
            )
        )


def _has_jobs(dsn: str) -> bool:
    with psycopg.connect(dsn) as session:
        there = session.execute("select to_regclass('job') is not null").fetchone()
        if there != (True,):
            return False
        return session.execute("select exists (select 1 from job)").fetchone() == (True,)


def _drop(session: psycopg.Connection[Any], name: str) -> None:
    statement = "drop database if exists {} with (force)"
    session.execute(sql.SQL(statement).format(sql.Identifier(name)))


def _open_up(server: stores.Postgres) -> None:
    """Bring a dump of an older version up to date, make it safe, and look it over."""
    connections.settings["default"].update(site_settings.database(server.dsn, pool_max=0))
    try:
        apply_migrations()
        restored = restoring.declare(Origin(Door.COMMAND))
        broken = integrity.check_all()
    finally:
        connection.close()
    say("restore", str(restored))
    if broken:
        raise CannotStart(f"{len(broken)} rules are broken; `manage.py verify` names them.")


def _server(parts: Mapping[str, Any]) -> dict[str, str]:
    """Where the server is, as libpq reads it from the environment: passwords are on no line."""
    options = parts.get("OPTIONS", {})
    found = {
        "PGHOST": parts["HOST"],
        "PGPORT": parts["PORT"],
        "PGUSER": parts["USER"],
        "PGPASSWORD": parts["PASSWORD"],
        "PGDATABASE": parts["NAME"],
    }
    found |= {f"PG{name.upper()}": options[name] for name in TLS_OPTIONS if name in options}
    return {name: str(value) for name, value in found.items()}


def _run(
    program: str, options: list[str], server: Mapping[str, str], output: IO[bytes] | None
) -> None:
    done = subprocess.run(
        [str(ground.binaries() / program), *options],
        env={**os.environ, **server},
        stdout=output,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise CannotStart(f"{program} failed: {said[-1] if said else done.returncode}")
