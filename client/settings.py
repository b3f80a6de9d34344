"""Where the fabric is and who calls: arguments first, then the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import Usage

DEFAULT_URL = "http://127.0.0.1:8080"
"""Where `make up` listens."""


@dataclass(frozen=True)
class Settings:
    """The address and the token (empty where none is needed)."""

    url: str
    token: str

    @classmethod
    def read(cls, *, url: str = "", token: str = "", token_file: str = "") -> Settings:
        """From the arguments, else DAEF_URL and DAEF_TOKEN or DAEF_TOKEN_FILE.

        Raises Usage where the token's file cannot be read.
        """
        from_file = token_file or os.environ.get("DAEF_TOKEN_FILE", "")
        if not token and not token_file:
            token = os.environ.get("DAEF_TOKEN", "").strip()
        if not token and from_file:
            token = _token_in(Path(from_file))
        return cls(url or os.environ.get("DAEF_URL", "").strip() or DEFAULT_URL, token)


def _token_in(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"The token file {path} cannot be read: {error}.") from error
    if not token:
        raise Usage(f"The token file {path} is empty.")
    return token
