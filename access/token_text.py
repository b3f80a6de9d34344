"""How a database token is written: ``daef_``, 30 random characters, a checksum of six.

Pure but for the operating system's randomness. The checksum finds typing errors before anything
is asked of the database, and lets programs that look for leaked secrets know a real one. It is no
secret: whoever wants to may compute it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "daef_"
ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS: Final = 30
"""Of 62 letters and digits each: 178 bits."""

CHECKSUM_CHARACTERS: Final = 6
"""62 to the sixth is more than CRC-32's four thousand million values."""

SHOWN_CHARACTERS: Final = len(PREFIX) + 6
"""What lists show of a token, so that people recognise it; 142 of its bits stay secret."""

SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}}", re.ASCII)


def new_token() -> str:
    """Return a token that nobody has guessed."""
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return body + checksum(body)


def checksum(body: str) -> str:
    """Return the CRC-32 of a token without its checksum, in base 62."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_intact(token: str) -> bool:
    """Tell whether this was written as `new_token` does, without a typing error."""
    body, given = token[:-CHECKSUM_CHARACTERS], token[-CHECKSUM_CHARACTERS:]
    return SHAPE.fullmatch(token) is not None and checksum(body) == given


def digest_of(token: str) -> str:
    """Return the SHA-256 that stands for a token where it is kept: 64 hexadecimal digits.

    Random enough as it is, a token needs no slow hash and no salt.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def shown_part(token: str) -> str:
    """Return the beginning, by which lists and records name a token."""
    return token[:SHOWN_CHARACTERS]
