"""Start-up checks: what makes a configuration unsafe, each with its remedy.

All in one place, asked by three: ``gateway``, ``up`` and ``controlplane`` refuse to start on an
error and print warnings; ``manage.py check --deploy`` tells all of them (with ``--database
default`` the stores' too); ``/readyz`` asks again what may change while we run.
``docs/reference/start-up-checks.md`` lists them by id.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from access.tokens import any_token, configured_credentials
from daef_site import env, store_checks, tls
from daef_site.exposure import EVERY_DOOR, GRPC, HTTP, exposure

# 128 bits are 22 characters of base64; a few more for tokens with a prefix.
TOKEN_CHARACTERS: Final = 24
# Fewer than this many different characters is a pattern, not chance.
DIFFERENT_CHARACTERS: Final = 8
CERTIFICATE_DAYS: Final = 14
# Where container runtimes put files that only the one container sees.
MOUNTED_SECRETS: Final = (Path("/run/secrets"), Path("/var/run/secrets"))
SAMPLE_WORDS: Final = ("django-insecure", "change-me", "changeme", "change_me", "example", "sample")


class UnsafeConfiguration(ImproperlyConfigured):
    """The fabric refuses to start; one line for each reason, with its remedy."""


def require_safe_settings(doors: frozenset[str] = EVERY_DOOR) -> list[str]:
    """Return the warnings about our own settings. Raises UnsafeConfiguration on an error."""
    return _judged(settings_findings(doors))


def require_safe_stores(*, processes: int, migrated: bool) -> list[str]:
    """Return the warnings about PostgreSQL and Redis. Raises UnsafeConfiguration on an error.

    ``processes`` is how many of ours on this machine will fill a pool of connections;
    ``migrated`` says that whatever waits to be migrated is an error by now.
    """
    return _judged(store_checks.store_findings(processes=processes, migrated=migrated))


def require_callers(doors: frozenset[str]) -> None:
    """Raise UnsafeConfiguration where others reach HTTP, and neither settings nor database have
    a token that would keep them out. The database has to be migrated.
    """
    if HTTP in doors:
        _judged(list(_http_without_tokens()))


def line(found: CheckMessage) -> str:
    """A finding and its remedy as one line."""
    return f"{found.msg} {found.hint} ({found.id})"


def _judged(found: Sequence[CheckMessage]) -> list[str]:
    errors = [line(each) for each in found if each.level >= ERROR]
    if errors:
        raise UnsafeConfiguration("\ndaef: ".join(errors))
    return [line(each) for each in found if each.level == WARNING]


# ── our own settings ──────────────────────────────────────────────────────────────────────────────


def settings_findings(doors: frozenset[str] = EVERY_DOOR) -> list[CheckMessage]:
    """Everything that can be said without asking a store."""
    open_to = exposure(doors)
    found = [*_files(), *_data_folder(), *_allowed_hosts(), *_misspelt()]
    found += [*store_checks.redis_password(), *store_checks.in_the_clear()]
    if HTTP in doors and settings.DAEF_STORE == "memory":
        # A private store begins empty; others may hold tokens, which only they can tell.
        found += _http_without_tokens()
    if GRPC in doors:
        found += [*_grpc_without_tls(), *_certificate()]
    if open_to:
        found += _trusted_proxies()
        found += [*_secret_key(open_to), *_test_switches(open_to), *_short_tokens(open_to)]
    return [*found, *_confirmation()]


def _http_without_tokens() -> Iterator[CheckMessage]:
    open_to = exposure(frozenset({HTTP}))
    if not open_to or settings.DAEF_API_TOKENS:
        return
    if settings.DAEF_STORE == "memory" or not any_token():
        yield Error(
            f"DAEF_HTTP_ADDR: {open_to}, but there is no token.",
            hint="Set DAEF_API_TOKENS='<long random token>:tenant:default|operator', or make one "
            "with `python manage.py create_token` while the gateway listens on 127.0.0.1 and "
            "names loopback hosts only.",
            id="daef.E004",
        )


def _short_tokens(open_to: str) -> Iterator[CheckMessage]:
    given = [entry.strip().partition(":")[0] for entry in settings.DAEF_API_TOKENS.split(",")]
    named = [(f"DAEF_API_TOKENS: entry {n}", token) for n, token in enumerate(given, 1) if token]
    for name, token in [*named, ("DAEF_AGENT_TOKEN: it", settings.DAEF_AGENT_TOKEN)]:
        if token and _is_weak(token, TOKEN_CHARACTERS):
            yield Error(
                f"{name} can be guessed, and {open_to}.",
                hint=f"Use at least {TOKEN_CHARACTERS} random characters: `openssl rand -hex 32`.",
                id="daef.E005",
            )


def _is_weak(secret: str, least: int) -> bool:
    return len(secret) < least or len(set(secret)) < DIFFERENT_CHARACTERS


def _secret_key(open_to: str) -> Iterator[CheckMessage]:
    key = settings.SECRET_KEY
    if _is_weak(key, 32) or any(word in key.lower() for word in SAMPLE_WORDS):
        yield Error(
            f"DAEF_SECRET_KEY: is a sample or a pattern, and {open_to}.",
            hint="Leave it out and one is made and kept, or write `openssl rand -hex 32`'s answer.",
            id="daef.E001",
        )


def _allowed_hosts() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "DAEF_ALLOWED_HOSTS: '*' lets any web site speak through its visitors' browsers.",
            hint="Name the hosts by which this gateway is reached, separated by commas.",
            id="daef.E003",
        )


def _trusted_proxies() -> Iterator[CheckMessage]:
    if any(network.prefixlen == 0 for network in settings.DAEF_TRUSTED_PROXIES):
        yield Error(
            "DAEF_TRUSTED_PROXIES: trusts every address, so any caller may say that it came by "
            "https.",
            hint="Name the addresses of your proxies.",
            id="daef.E015",
        )


def _misspelt() -> Iterator[CheckMessage]:
    for name, meant in env.misspelt():
        yield Warning(
            f"{name}: is no setting and has no effect.",
            hint=f"Write {meant}, or unset it.",
            id="daef.W008",
        )


def _test_switches(open_to: str) -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error(
            f"DAEF_DEBUG: is on, and {open_to}; error pages would show settings and code.",
            hint="Unset it.",
            id="daef.E002",
        )
    if env.text("DAEF_FAULTS"):
        yield _test_only("DAEF_FAULTS", "it stops processes on purpose", open_to)
    if settings.DAEF_TEST_KINDS:
        yield _test_only("DAEF_TEST_KINDS", "callers could crash agents", open_to)


def _test_only(name: str, harm: str, open_to: str) -> CheckMessage:
    return Error(
        f"{name}: is on, and {open_to}; {harm}.",
        hint="Unset it, or keep the fabric under test on loopback.",
        id="daef.E011",
    )


def _confirmation() -> Iterator[CheckMessage]:
    operators = any(one.actor.may("operator") for one in configured_credentials())
    if operators and not settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN:
        yield Info(
            "DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN: is not set, so operators requeue "
            f"{settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD} dead letters or more without "
            "confirming.",
            hint="Set it where that should take a second look.",
            id="daef.I001",
        )


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────


def _grpc_without_tls() -> Iterator[CheckMessage]:
    host, port = settings.DAEF_GRPC_ADDR
    if env.is_loopback(host) or settings.DAEF_TLS_CERT_FILE:
        return
    shown = env.shown_address(host, port)
    if settings.DAEF_INSECURE_TRANSPORT:
        yield Warning(
            f"DAEF_INSECURE_TRANSPORT: tokens and data of agents at {shown} travel in the clear.",
            hint="Set DAEF_TLS_CERT_FILE and DAEF_TLS_KEY_FILE unless the network is private.",
            id="daef.W001",
        )
        return
    yield Error(
        f"DAEF_GRPC_ADDR: {shown} can be reached from other machines without TLS.",
        hint="Set DAEF_TLS_CERT_FILE and DAEF_TLS_KEY_FILE, or listen on 127.0.0.1 (or, where "
        "the network itself is private, set DAEF_INSECURE_TRANSPORT=1).",
        id="daef.E006",
    )


def _certificate() -> Iterator[CheckMessage]:
    certificate, key = settings.DAEF_TLS_CERT_FILE, settings.DAEF_TLS_KEY_FILE
    authority = settings.DAEF_TLS_CA_FILE
    if bool(certificate) != bool(key) or (authority and not certificate):
        missing = "DAEF_TLS_KEY_FILE" if certificate else "DAEF_TLS_CERT_FILE"
        yield Error(
            f"{missing}: is missing beside the other DAEF_TLS_… files.",
            hint="Set DAEF_TLS_CERT_FILE and DAEF_TLS_KEY_FILE together, or neither of them.",
            id="daef.E007",
        )
        return
    if certificate:
        yield from _pair(Path(certificate), Path(key))
    if authority:
        yield from _tried(
            "DAEF_TLS_CA_FILE", authority, lambda: tls.require_authority(Path(authority))
        )


def _pair(certificate: Path, key: Path) -> Iterator[CheckMessage]:
    ends: list[datetime] = []
    yield from _tried(
        "DAEF_TLS_CERT_FILE",
        f"{certificate} with the key {key}",
        lambda: ends.append(tls.expiry(certificate, key)),
    )
    if ends and ends[0] - datetime.now(UTC) < timedelta(days=CERTIFICATE_DAYS):
        yield Warning(
            f"DAEF_TLS_CERT_FILE: {certificate} ends on {ends[0]:%Y-%m-%d}.",
            hint="Put a new one in its place and start again before that day.",
            id="daef.W002",
        )


def _tried(name: str, files: str, look: Callable[[], object]) -> Iterator[CheckMessage]:
    try:
        look()
    except tls.Unreadable as error:
        yield Error(
            f"{name}: {error}: {files}.",
            hint="Correct the path, and let the user that DAEF runs as read the file.",
            id="daef.E008",
        )
    except tls.OutOfDate as error:
        yield Error(
            f"{name}: {files}: {error}.",
            hint="Put a certificate there whose time is now, or set this machine's clock.",
            id="daef.E010",
        )
    except tls.BadCertificate as error:
        yield Error(
            f"{name}: {files} cannot be used: {error}.",
            hint="Give the key that belongs to the certificate, both as PEM without a password.",
            id="daef.E009",
        )


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def _files() -> Iterator[CheckMessage]:
    data = settings.DAEF_DATA_DIR
    kept = (data / "secret_key", data / "fabric.json", *sorted(data.glob("*.password")))
    private = [("DAEF_DATA_DIR", path) for path in kept]
    private += sorted(env.SECRET_FILES.items())
    if settings.DAEF_TLS_KEY_FILE:
        private.append(("DAEF_TLS_KEY_FILE", Path(settings.DAEF_TLS_KEY_FILE)))
    for name, path in private:
        if path.is_file() and _others_may(path, stat.S_IROTH | stat.S_IWOTH):
            yield Error(
                f"{name}: every user of this machine may read or change {path}.",
                hint=f"Run `chmod o-rw {path}`.",
                id="daef.E012",
            )


def _others_may(path: Path, bits: int) -> bool:
    """Files that a container runtime mounted have wide modes and one reader."""
    mounted = any(place in path.absolute().parents for place in MOUNTED_SECRETS)
    return not mounted and "..data" not in _links(path) and bool(path.stat().st_mode & bits)


def _links(path: Path) -> str:
    """Kubernetes mounts each key of a secret as a link through ``..data``."""
    return str(path.readlink()) if path.is_symlink() else ""


def _data_folder() -> Iterator[CheckMessage]:
    data = settings.DAEF_DATA_DIR
    if data.is_dir() and data.stat().st_mode & stat.S_IWOTH:
        yield Error(
            f"DAEF_DATA_DIR: every user of this machine may put files into {data}.",
            hint=f"Run `chmod o-w {data}`, or name a folder inside it, which is then made private.",
            id="daef.E013",
        )


# ── manage.py check ───────────────────────────────────────────────────────────────────────────────


@register(Tags.security, deploy=True)
def check_settings(**_: Any) -> list[CheckMessage]:
    """``manage.py check --deploy``: our own settings."""
    return settings_findings()


@register(Tags.database, deploy=True)
def check_stores(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """``manage.py check --deploy --database default``: the stores as well."""
    if not databases:
        return []
    found = store_checks.store_findings(processes=2, migrated=True)
    # Before the migrations there is no table that could hold a token.
    waiting = any(each.id == "daef.E024" for each in found)
    return found if waiting else [*found, *_http_without_tokens()]
