"""The ``daef`` command: reads arguments, calls one command, turns errors into exit statuses.

Exit status: 0 Succeeded (or simply done), 3 partly succeeded, 4 Failed, 5 Cancelled, 2 usage,
1 anything else, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from .commands import control, demo, inspect, submit
from .commands.context import Context
from .errors import ApiError, ClientError, InvalidRequest, Usage
from .terminal.bars import WIDEST

FAILED, USAGE, INTERRUPTED = 1, 2, 130

SHARED = {"url": "", "token_file": "", "json": False}
"""Values of the options that stand before or after the command, where they stand nowhere."""

DESCRIPTION = """\
daef submits AI work to a DAEF fabric, shows how it goes, and reads what came of it.

  daef submit --type analyze --input "Why do customers write?" --documents tickets.csv --watch
  daef watch job-1                follow a job; Ctrl-C stops watching, not the job
  daef report job-1               what it found, with evidence
  daef explain job-1              why it waits, and what would help
"""

EPILOG = """\
The fabric's address is --url or DAEF_URL (http://127.0.0.1:8080), the token --token-file,
DAEF_TOKEN or DAEF_TOKEN_FILE. `make up` starts a fabric on this machine.

exit status: 0 succeeded · 3 partly succeeded · 4 failed · 5 cancelled · 2 wrong usage ·
1 anything else · 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    _never_fail_to_print()
    options = parser().parse_args(arguments, argparse.Namespace(**SHARED))
    context = Context(
        url=options.url,
        token_file=options.token_file,
        json=options.json,
        console=_console(),
    )
    try:
        status: int = options.run(context, options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Somebody reads no further (| head); Python must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ClientError as error:
        return _failed(error)


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    shared = argparse.ArgumentParser(add_help=False)
    # Given before or after the command; without SUPPRESS the later default would win.
    for flag, meta, text in (
        ("--url", "URL", "the fabric's address (DAEF_URL)"),
        ("--token-file", "FILE", "file that holds the token (DAEF_TOKEN_FILE)"),
    ):
        shared.add_argument(flag, metavar=meta, default=argparse.SUPPRESS, help=text)
    shared.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print the API's own JSON"
    )
    main_parser = argparse.ArgumentParser(
        prog="daef",
        description=DESCRIPTION,
        epilog=EPILOG,
        parents=[shared],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = main_parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for part in (submit, inspect, control, demo):
        part.add_to(commands, shared)
    return main_parser


def _failed(error: ClientError) -> int:
    print(f"daef: {error}", file=sys.stderr)
    if isinstance(error, ApiError) and error.request_id:
        print(f"  request {error.request_id}, status {error.status} {error.code}", file=sys.stderr)
    return USAGE if isinstance(error, Usage | InvalidRequest) else FAILED


def _console() -> Console:
    """Standard output; a file or a pipe is as wide as reports like to be."""
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDEST
    return console


def _never_fail_to_print() -> None:
    """Let terminals that know fewer characters show a substitute instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
