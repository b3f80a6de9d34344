"""Typed reading of environment variables: each helper refuses nonsense by naming the variable.

Pure but for ``os.environ`` and ``NAME_FILE`` secrets; never imports Django.
"""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote, urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_HEADER_CHARACTERS = 512
PREFIX = "DAEF_"
MISSPELT_FROM = 0.9
"""How similar (``difflib``) a name is to one that it misspells by a letter or two."""
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_asked: set[str] = set()
_secret_files: dict[str, Path] = {}
SECRET_FILES: Mapping[str, Path] = MappingProxyType(_secret_files)
"""The files that secrets were read from, by their NAME_FILE."""


class BadSetting(Exception):
    """A setting cannot be used; the message names the variable and what is allowed."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks, or ``default`` where it is unset or empty."""
    _asked.add(name)
    return os.environ.get(name, "").strip() or default


def misspelt() -> list[tuple[str, str]]:
    """Variables that nothing asked for, each with the very similar one that was asked for."""
    strange = sorted(set(os.environ) - _asked)
    pairs = [(name, get_close_matches(name, _asked, n=1, cutoff=MISSPELT_FROM)) for name in strange]
    return [(name, match[0]) for name, match in pairs if match and name.startswith(PREFIX)]


def secret(name: str, default: str = "") -> str:
    """A secret from NAME, or from the file that NAME_FILE names (its last line break is dropped).

    Raises BadSetting where both are set or the file cannot be read.
    """
    path = text(f"{name}_FILE")
    if not path:
        return text(name, default)
    if text(name):
        raise BadSetting(name, f"is set together with {name}_FILE; keep one of the two.")
    _secret_files[f"{name}_FILE"] = Path(path)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{name}_FILE", f"cannot read {path}: {error}.") from error


def header_text(name: str, value: str) -> str:
    """``value``, where it can stand in a header as it is; two headers are joined by a comma."""
    if len(value) > MOST_HEADER_CHARACTERS or not all("!" <= c <= "~" and c != "," for c in value):
        raise BadSetting(
            name,
            "cannot be shown in a header; write visible ASCII characters without blanks and "
            f"commas, at most {MOST_HEADER_CHARACTERS}.",
        )
    return value


def choice(name: str, allowed: Sequence[str], default: str) -> str:
    """One of ``allowed``."""
    value = text(name, default)
    if value not in allowed:
        raise BadSetting(name, f"is {value!r}; write one of {', '.join(allowed)}.")
    return value


def flag(name: str, default: bool = False) -> bool:
    """A switch: 1, true, yes, on or 0, false, no, off."""
    value = text(name).lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise BadSetting(name, f"is {value!r}; write 1 or 0.")
    return value in _TRUE


def whole_number(name: str, default: int, *, least: int, most: int) -> int:
    """A whole number between ``least`` and ``most``, both allowed."""
    return _whole(name, text(name), default, least, most)


def optional_whole_number(name: str, *, least: int, most: int) -> int | None:
    """As whole_number, or None where the variable is unset."""
    return _whole(name, text(name), 0, least, most) if text(name) else None


def _whole(name: str, value: str, default: int, least: int, most: int) -> int:
    if not value:
        return default
    # Plain ASCII digits only: int() also takes "1_000" and other scripts' digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 18) or not (
        least <= int(value) <= most
    ):
        raise BadSetting(name, f"is {value!r}; write a whole number from {least} to {most}.")
    return int(value)


def number(name: str, default: float, *, least: float, most: float) -> float:
    """A number, fractions allowed, between ``least`` and ``most``, both allowed."""
    value = text(name)
    if not value:
        return default
    try:
        parsed = float(value)
    except ValueError:
        parsed = float("nan")
    if not least <= parsed <= most:
        raise BadSetting(name, f"is {value!r}; write a number from {least:g} to {most:g}.")
    return parsed


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """A list split at commas, blanks around the words dropped."""
    return [word.strip() for word in text(name).split(",") if word.strip()] or list(default)


def networks(name: str, default: Sequence[str]) -> list[Network]:
    """Addresses and networks (``10.0.0.0/8``) split at commas."""
    try:
        return [ipaddress.ip_network(word, strict=False) for word in words(name, default)]
    except ValueError as error:
        raise BadSetting(
            name, f"{error}; write addresses or networks, for example 127.0.0.1,10.0.0.0/8."
        ) from error


def optional_address(name: str) -> tuple[str, int] | None:
    """As address, or None where the variable is unset."""
    return address(name, "") if text(name) else None


def address(name: str, default: str) -> tuple[str, int]:
    """``host:port`` (``[::1]:port`` for IPv6, ``:port`` for every interface) as a pair."""
    value = text(name, default)
    host, separator, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "0.0.0.0"  # noqa: S104 # nosec B104 # asked for
    number_given = port.isascii() and port.isdigit() and len(port) <= 5
    if not separator or not number_given or not 1 <= int(port) <= 65535:
        raise BadSetting(name, f"is {value!r}; write host:port, for example {default}.")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    return host in LOOPBACK_HOSTS or host.startswith("127.")


def host_of(url: str) -> str:
    """The host that a URL names, "" for none."""
    return urlsplit(url).hostname or ""


def has_password(url: str) -> bool:
    """Whether a URL brings a password."""
    return bool(urlsplit(url).password)


def shown_address(host: str, port: int) -> str:
    """``host:port`` as it is written in addresses; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def postgres_parts(name: str, dsn: str) -> dict[str, object]:
    """A ``postgres://user:password@host:port/database?sslmode=…`` URL as Django's settings parts.

    Every query parameter becomes an option of libpq. Raises BadSetting naming ``name``, never
    showing the password.
    """
    try:
        url = urlsplit(dsn)
        port = url.port or 5432
    except ValueError as error:
        raise BadSetting(name, f"is not an address: {error}.") from error
    database = unquote(url.path.lstrip("/"))
    if url.scheme not in ("postgres", "postgresql") or not url.hostname or not database:
        raise BadSetting(name, "write postgres://user:password@host:5432/database?sslmode=disable.")
    return {
        "NAME": database,
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname,
        "PORT": port,
        "OPTIONS": dict(parse_qsl(url.query)),
    }


def redis_url(name: str, value: str, *, password: str, database: int) -> str:
    """``host:port`` with password and database number as a URL; a redis(s):// URL as it is."""
    if value.startswith(("redis://", "rediss://")):
        return value
    host, separator, port = value.rpartition(":")
    if not separator or not host or not (port.isascii() and port.isdigit()):
        raise BadSetting(
            name, f"is {value!r}; write host:port or redis://user:password@host:port/0."
        )
    login = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{login}{value}/{database}"
