"""``daef demo``: 500 support tickets in, root causes out, on a fabric of this machine."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from .. import local_fabric
from ..api import Client
from ..documents import read_documents
from ..errors import Usage
from ..terminal.report import report_lines
from ..terminal.watch import watch
from ..terminal.words import EXIT_STATUSES, duration, plan_words
from .context import Context

TICKETS = local_fabric.CHECKOUT / "examples" / "tickets.csv"
QUESTION = "Why do our customers write to us? Find the root causes of these support tickets."
TOLD_IN_FULL = 5
"""Causes whose explanation and evidence are printed; the report itself tells all of them."""

TIMED_PARTS = ("postgres", "redis")

Arguments = argparse.Namespace


def add_to(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add ``demo`` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="500 support tickets in, root causes out (in a checkout; `make demo`)",
        parents=[shared],
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the fabric up until Ctrl-C (KEEP=1)"
    )
    parser.set_defaults(run=run)


def run(context: Context, options: Arguments) -> int:
    """Start a fabric where none runs, analyse the tickets, print the report, stop what was started.

    The exit status is the job's.
    """
    local_fabric.require_checkout()
    keep = options.keep or os.environ.get("KEEP", "") not in ("", "0")
    signal.signal(signal.SIGTERM, _interrupt)
    packages = len(list(importlib.metadata.distributions()))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    context.labelled("set-up", f"Python {version}, {packages} packages")
    if not TICKETS.exists():
        raise Usage(f"{TICKETS} is missing; `python examples/make_tickets.py` makes it again.")
    with _fabric(context) as fabric, Client(fabric.url, _token()) as client:
        ours = " and its fabric" if fabric.process is not None else ""
        job = _analyse(context, client, f"Ctrl-C stops the demo{ours}.")
        status = EXIT_STATUSES[job["status"]]
        _say_where(context, client, fabric, job["id"], keep)
        if keep and fabric.process is not None:
            _stay(context, fabric)
    return status


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# ── the fabric ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _fabric(context: Context) -> Iterator[local_fabric.Running]:
    """The fabric of the data folder; one that was not there before is stopped at the end."""
    data = local_fabric.data_folder(os.environ)
    if found := local_fabric.find(data):
        context.labelled("fabric", f"runs already: {found.url} (it is left running)")
        yield found
        return
    chosen, taken = local_fabric.addresses(os.environ)
    for address in taken:
        context.labelled("", f"{address} is taken by something else, so another port is used")
    began = time.monotonic()
    stack = ExitStack()
    with context.console.status("starting the fabric", spinner="dots"):
        # The child runs in the checkout, where a relative folder would be another one.
        environment = {**os.environ, **chosen, "DAEF_DATA_DIR": str(data)}
        fabric = stack.enter_context(local_fabric.started(environment))
    try:
        context.labelled("fabric", _parts(fabric, chosen, time.monotonic() - began))
        yield fabric
    finally:
        began = time.monotonic()
        stack.close()
        context.labelled("stop", f"the fabric has ended in {duration(time.monotonic() - began)}")


def _parts(fabric: local_fabric.Running, chosen: dict[str, str], seconds: float) -> str:
    """Each part with its time or port, as far as the fabric told them."""
    took = [
        f"{name} {fabric.seconds[name]:.1f} s" for name in TIMED_PARTS if name in fabric.seconds
    ]
    gateway, control_plane = (
        chosen[name].rpartition(":")[2] for name in ("DAEF_HTTP_ADDR", "DAEF_GRPC_ADDR")
    )
    slots = os.environ.get("DAEF_SLOTS") or os.cpu_count() or 1
    parts = [f"gateway :{gateway}", f"control plane :{control_plane}", f"agent, {slots} slots"]
    return " · ".join([*took, *parts, f"{duration(seconds)} in all"])


def _token() -> str:
    """A token for the demo: DAEF_TOKEN, else the first of DAEF_API_TOKENS that has a tenant."""
    if token := os.environ.get("DAEF_TOKEN", ""):
        return token
    for entry in os.environ.get("DAEF_API_TOKENS", "").split(","):
        token, _, scopes = entry.strip().partition(":")
        if "tenant:" in scopes:
            return token
    return ""


def _stay(context: Context, fabric: local_fabric.Running) -> None:
    assert fabric.process is not None
    context.labelled("", "The fabric keeps running. Ctrl-C stops it.")
    try:
        fabric.process.wait()
    except KeyboardInterrupt:
        context.console.print()


# ── the job ───────────────────────────────────────────────────────────────────────────────────────


def _analyse(context: Context, client: Client, hint: str) -> dict[str, Any]:
    """Submit, watch, print the report; returns the ended job."""
    documents = read_documents(TICKETS, text_column="body", id_column="id")
    job = client.jobs.submit({"type": "analyze", "input": QUESTION, "documents": documents})
    told = " · ".join(job[name] for name in ("type", "priority", "policy"))
    context.labelled("submit", f"{len(documents)} support tickets → {job['id']}   {told}")
    limit = (job.get("budget") or {}).get("limit_usd")
    context.labelled("plan", plan_words(job.get("plan") or {}, job["stages"], limit))
    context.console.print()
    ended: dict[str, Any] = watch(client, job["id"], context.console, hint=hint)
    report = client.jobs.report(job["id"])
    context.console.print()
    width = context.console.width
    context.print_lines(report_lines(report, noun="tickets", width=width, details=TOLD_IN_FULL))
    return ended


def _say_where(
    context: Context, client: Client, fabric: local_fabric.Running, job: str, keep: bool
) -> None:
    context.console.print()
    saved = _save(client, job)
    context.labelled("report", f"{saved}   all causes, opens in a browser")
    if not keep and fabric.process is not None:
        context.labelled("next", "make demo KEEP=1 leaves the fabric up: console, API docs, report")
        return
    port = urlsplit(fabric.url).port
    context.labelled("", f"{fabric.url}/v1/jobs/{job}/report?format=html")
    login = f"   log in once: {fabric.login}" if fabric.login else ""
    context.labelled("console", f"{fabric.url}/admin/{login}")
    context.labelled("API docs", f"{fabric.url}/v1/docs")
    named = "" if port == 8080 else f"DAEF_URL={fabric.url} "
    context.labelled("client", f"{named}python -m client get {job}")


def _save(client: Client, job: str) -> Path:
    """The report as HTML and JSON in the data folder, where it outlives the fabric."""
    folder = local_fabric.data_folder(os.environ) / "reports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps(client.jobs.report(job), indent=2, ensure_ascii=False)
    (folder / "demo.json").write_text(text, encoding="utf-8")
    path = folder / "demo.html"
    path.write_text(client.jobs.rendered_report(job, "html"), encoding="utf-8")
    return path
