"""What every command gets: where the fabric is, how to print."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from ..api import Client
from ..settings import Settings


@dataclass
class Context:
    """The settings of one call of ``daef``."""

    url: str
    token_file: str
    json: bool
    console: Console

    def client(self) -> Client:
        """A client of the fabric that was named; close it."""
        settings = Settings.read(url=self.url, token_file=self.token_file)
        return Client(settings.url, settings.token)

    def print_json(self, document: Any) -> None:
        """Print a document of the API as it is, indented."""
        print(json.dumps(document, indent=2, ensure_ascii=False))

    def print_json_line(self, document: Any) -> None:
        """Print a document on one line, at once."""
        print(json.dumps(document, ensure_ascii=False), flush=True)

    def print_lines(self, lines: Iterable[Text]) -> None:
        """Print lines that are laid out already."""
        for line in lines:
            self.console.print(line, soft_wrap=True)

    def labelled(self, label: str, text: str) -> None:
        """Print a line with its label in the left column."""
        line = Text(f"{label:<10}", "bright_black").append(text, "default")
        self.console.print(line, soft_wrap=True)


def whole_number(text: str) -> int:
    """An option's value from 0 on."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)
