"""``daef submit``: a job from options, files, or a JSON document."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from ..api import Client
from ..documents import read_documents
from ..errors import Usage
from ..terminal.words import counted, plain, plan_words
from .context import Context, whole_number
from .inspect import follow

TYPES = ("chat", "analyze", "batch", "embed", "pipeline")
PRIORITIES = ("interactive", "standard", "batch")

INLINE_BYTES = 900 * 1024
"""Requests up to this size are sent whole; the API's limit for a body is 1 MiB."""

DEFAULT_TENANT = "default"
"""Whose a file is where neither the request nor the token names a tenant."""

DESCRIPTION = """\
Submit a job. Without --watch the command returns once the fabric has accepted it.

  daef submit --type chat --input "What is a fabric?" --watch
  daef submit --type analyze --input "Find root causes." --documents tickets.csv \\
              --text-column body --watch
  daef submit -f examples/jobs/pipeline.json --dry-run

Documents may be .csv (a row each), .jsonl (a line each), .json (a list), .txt, or a folder of .txt
files. Small ones go with the request, larger ones through /v1/files.
"""

Arguments = argparse.Namespace


def add_to(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add ``submit`` to the command line."""
    parser = commands.add_parser(
        "submit",
        help="submit a job",
        parents=[shared],
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    _add_content(parser.add_argument_group("what to do"))
    _add_terms(parser.add_argument_group("under which terms"))
    parser.add_argument("--dry-run", action="store_true", help="show the plan, submit nothing")
    parser.add_argument("--watch", action="store_true", help="follow the job to its end")
    parser.add_argument("--key", default="", help="Idempotency-Key (a fresh one by default)")


def _add_content(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-f", "--file", type=Path, help="submit body as JSON (- reads stdin)")
    group.add_argument("--type", choices=TYPES, help="kind of job")
    group.add_argument("--input", help="the question or task, in words")
    group.add_argument("--documents", type=Path, metavar="PATH", help="file or folder of documents")
    group.add_argument("--text-column", default="", help="CSV column with the text")
    group.add_argument("--id-column", default="", help="CSV column with the id (id)")
    group.add_argument("--model", help="model to use, instead of the policy's")
    group.add_argument("--parameter", action="append", default=[], metavar="NAME=JSON")


def _add_terms(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--policy", help="policy (enterprise-default)")
    group.add_argument("--priority", choices=PRIORITIES, help="class of priority (standard)")
    group.add_argument("--tenant", help="tenant, where the token has several")
    group.add_argument("--limit-usd", type=float, metavar="USD", help="most the job may cost")
    group.add_argument("--max-parallelism", type=whole_number, metavar="N")
    group.add_argument("--max-attempts", type=whole_number, metavar="N")
    group.add_argument("--max-failed-percent", type=float, metavar="PERCENT")
    group.add_argument("--deadline-seconds", type=float, metavar="SECONDS")
    group.add_argument("--plan-hash", metavar="HASH", help="accept only this plan (see --dry-run)")
    group.add_argument("--label", action="append", default=[], metavar="NAME=VALUE")


def run(context: Context, options: Arguments) -> int:
    """Submit, or show the plan; follow the job when asked."""
    request = body(options)
    with context.client() as client:
        send_large_documents(client, request)
        if options.dry_run:
            return _show_plan(context, client.jobs.plan(request))
        key = options.key or str(uuid.uuid4())
        job = client.jobs.submit(request, idempotency_key=key)
        if context.json and not options.watch:
            context.print_json(job)
        if not context.json:
            show_submitted(context, job)
        if options.watch:
            return follow(context, client, job["id"])
        if not context.json:
            context.labelled("watch", f"daef watch {job['id']}")
        return 0


def body(options: Arguments) -> dict[str, Any]:
    """The submit body of the options; those given win over the JSON document's fields."""
    request = _document(options.file) if options.file else {}
    for name in ("type", "input", "model", "policy", "priority", "tenant", "plan_hash"):
        _put(request, name, getattr(options, name))
    for name in ("max_parallelism", "max_attempts", "max_failed_percent", "deadline_seconds"):
        _put(request, name, getattr(options, name))
    if options.limit_usd is not None:
        request["budget"] = {"limit_usd": options.limit_usd}
    if options.label:
        request["labels"] = {**request.get("labels", {}), **dict(map(_label, options.label))}
    if options.parameter:
        given = dict(map(_parameter, options.parameter))
        request["parameters"] = {**request.get("parameters", {}), **given}
    if options.documents:
        columns = {"text_column": options.text_column, "id_column": options.id_column}
        request["documents"] = read_documents(options.documents, **columns)
    if "type" not in request:
        raise Usage(f"Say what to do: --type {{{', '.join(TYPES)}}}, or -f with a JSON document.")
    return request


def send_large_documents(client: Client, request: dict[str, Any]) -> None:
    """Replace documents that do not fit into a request by the id of an uploaded file.

    The same documents become the same file, so that a repeated request stays the same request.
    """
    documents = request.get("documents")
    if not documents or len(json.dumps(request).encode()) <= INLINE_BYTES:
        return
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in documents)
    content = lines.encode()
    tenant = request.get("tenant") or ""
    digest = hashlib.sha256(content).hexdigest()
    stored = client.files.find(digest, tenant or DEFAULT_TENANT) or client.files.upload_stream(
        io.BytesIO(content), "documents.jsonl", "application/x-ndjson", tenant=tenant
    )
    del request["documents"]
    request["file_id"] = stored["id"]


def show_submitted(context: Context, job: dict[str, Any]) -> None:
    """Two lines: the job, and its plan."""
    told = [job["type"], job["tenant"], job["priority"], job["policy"]]
    context.labelled(job["id"], plain(" · ".join(told)))
    limit = (job.get("budget") or {}).get("limit_usd")
    context.labelled("plan", plan_words(job.get("plan") or {}, job["stages"], limit))
    if job.get("live_workers") == 0:
        context.labelled("waits", f"no live agent in pool {job['pool']} can run it yet")


def _show_plan(context: Context, plan: dict[str, Any]) -> int:
    if context.json:
        context.print_json(plan)
        return 0
    context.labelled("plan", plan_words(plan, plan["stages"], plan.get("limit_usd")))
    for stage in plan["stages"]:
        low, high = stage["planned_min"], stage["planned_max"]
        told = counted(low, "task") if low == high else f"{low} to {counted(high, 'task')}"
        context.labelled("", f"{plain(stage['name']):<10} {told}")
    context.labelled("models", ", ".join(plan["models"]) or "none")
    context.labelled("policy", f"{plan['policy']} · pool {plan['pool']} · tenant {plan['tenant']}")
    context.labelled("hash", plan["plan_hash"])
    return 0


def _document(path: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise Usage(f"{path} cannot be used as a submit body: {error}.") from error
    if not isinstance(document, dict):
        raise Usage(f"{path} must hold a JSON object, the submit body.")
    return document


def _put(request: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        request[name] = value


def _pair(option: str, text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise Usage(f"{option} {text!r}: write NAME=VALUE.")
    return name, value


def _label(text: str) -> tuple[str, str]:
    return _pair("--label", text)


def _parameter(text: str) -> tuple[str, Any]:
    """A parameter's value is JSON; what is none is taken as text."""
    name, value = _pair("--parameter", text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
