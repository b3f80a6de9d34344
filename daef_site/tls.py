"""Whether gRPC's certificate can be used, found out by the handshake that an agent would make."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_OUT_OF_DATE = (9, 10)


class BadCertificate(Exception):
    """No agent could connect; the message says why, in OpenSSL's words."""


class OutOfDate(BadCertificate):
    """It has expired, or is not valid yet."""


class Unreadable(Exception):
    """A file is not there or may not be read."""


def expiry(certificate: Path, key: Path) -> datetime:
    """When the certificate ends; the key has to be its own, and today within its time.

    Raises Unreadable, BadCertificate or OutOfDate.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _read(certificate)
    _read(key)
    try:
        # The password is asked for on the terminal otherwise.
        server.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(_reason(error)) from error
    try:
        return _shown(server, certificate)
    except ssl.SSLCertVerificationError as error:
        kind = OutOfDate if error.verify_code in _OUT_OF_DATE else BadCertificate
        raise kind(_reason(error)) from error
    except ssl.SSLError as error:
        raise BadCertificate(_reason(error)) from error


def require_authority(file: Path) -> None:
    """Raise Unreadable or BadCertificate unless ``file`` holds certificates to check others by."""
    _read(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise BadCertificate(f"it holds no certificate: {_reason(error)}") from error


def _read(file: Path) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from error


def _shown(server: ssl.SSLContext, trusted: Path) -> datetime:
    """The end of the certificate that ``server`` shows to a client that trusts just this one."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # A leaf is no authority; what is asked is whether it is valid by itself.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(trusted)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(to_client, to_server)
    answerer = server.wrap_bio(to_server, to_client, server_side=True)
    while not _advanced(caller):
        _advanced(answerer)
    shown = caller.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    return datetime.fromtimestamp(ends, UTC)


def _advanced(side: ssl.SSLObject) -> bool:
    """Whether this side of the handshake is done."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _reason(error: Exception) -> str:
    """OpenSSL's words without its file and line."""
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
    return str(reason).lower().replace("_", " ")
