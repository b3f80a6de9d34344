"""``daef get``, ``watch``, ``report``, ``results``, ``events``, ``explain``: looking at jobs."""

from __future__ import annotations

import argparse
from typing import Any

from ..api import JOB_ENDS, Client
from ..errors import Usage
from ..terminal.bars import Clock, end_line, stage_lines, total_line, trouble_lines
from ..terminal.report import ALL, report_lines
from ..terminal.tables import explanation_lines, jobs_table, page_line, tasks_table
from ..terminal.watch import snapshots, watch
from ..terminal.words import EXIT_STATUSES
from .context import Context, whole_number

Arguments = argparse.Namespace
FORMATS = ("text", "markdown", "html", "json")


def add_to(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands that look at jobs to the command line."""
    _add_get(commands, shared)
    watched = commands.add_parser("watch", help="follow a job to its end", parents=[shared])
    watched.add_argument("job")
    watched.set_defaults(run=run_watch)
    report = commands.add_parser("report", help="what a job found", parents=[shared])
    report.add_argument("job")
    report.add_argument("--format", choices=FORMATS, default="text", help="form of it (text)")
    report.set_defaults(run=run_report)
    for name, run, text in (
        ("results", run_results, "the results of a job's tasks, a line of JSON each"),
        ("events", run_events, "what happens to a job, a line of JSON each, to its end"),
        ("explain", run_explain, "why a job is where it is, and what would change that"),
    ):
        parser = commands.add_parser(name, help=text, parents=[shared])
        parser.add_argument("job")
        parser.set_defaults(run=run)


def _add_get(commands: Any, shared: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "get",
        help="list jobs; show a job, its tasks, or one task",
        parents=[shared],
        description="daef get jobs, daef get job-1, daef get job-1 tasks, daef get job-1 job-1-7",
    )
    parser.add_argument("what", nargs="?", default="jobs", help="jobs (the default), or a job's id")
    parser.add_argument("part", nargs="?", default="", help="tasks, or a task's id")
    for option in ("--status", "--type", "--priority", "--worker"):
        parser.add_argument(option, default="", help="only these")
    parser.add_argument("--limit", type=whole_number, help="most to list (50)")
    parser.add_argument("--offset", type=whole_number, help="how many to pass over")
    parser.set_defaults(run=run_get)


def run_get(context: Context, options: Arguments) -> int:
    """List jobs or tasks, or show one of them."""
    with context.client() as client:
        if options.what == "jobs":
            return _list_jobs(context, client, options)
        if options.part == "tasks":
            return _list_tasks(context, client, options)
        if options.part:
            context.print_json(client.jobs.task(options.what, options.part))
            return 0
        return _show_job(context, client, options.what)


def _list_jobs(context: Context, client: Client, options: Arguments) -> int:
    if options.part:
        raise Usage("Write `daef get jobs`, or `daef get job-1 tasks`.")
    names = ("status", "type", "priority", "limit", "offset")
    page = client.jobs.list(**{name: getattr(options, name) for name in names})
    if context.json:
        context.print_json(page)
    elif page["items"]:
        context.console.print(jobs_table(page))
        context.labelled("", page_line(page, "job"))
    else:
        context.labelled("", "no jobs; `daef submit --help` shows how to make one")
    return 0


def _list_tasks(context: Context, client: Client, options: Arguments) -> int:
    names = ("status", "worker", "limit", "offset")
    page = client.jobs.tasks(options.what, **{name: getattr(options, name) for name in names})
    if context.json:
        context.print_json(page)
    else:
        context.console.print(tasks_table(page))
        context.labelled("", page_line(page, "task"))
    return 0


def _show_job(context: Context, client: Client, job: str) -> int:
    found = client.jobs.get(job)
    if context.json:
        context.print_json(found)
        return 0
    told = [found[name] for name in ("type", "tenant", "priority", "policy")]
    context.labelled(found["id"], " · ".join(told))
    context.labelled("status", f"{found['status']} · {found['reason']}  {found['message']}")
    clock = Clock()
    context.print_lines(stage_lines(found, clock, context.console.width))
    if found["status"] in JOB_ENDS:
        context.print_lines([end_line(found)])
    else:
        context.print_lines([total_line(found, None)])
    context.print_lines(trouble_lines(found, None))
    return 0


def run_watch(context: Context, options: Arguments) -> int:
    """Follow a job; the exit status is the job's."""
    with context.client() as client:
        return follow(context, client, options.job)


def follow(context: Context, client: Client, job: str) -> int:
    """Show the job until its end and return the exit status that stands for it."""
    if context.json:
        return _follow_as_json(context, client, job)
    try:
        found = watch(client, job, context.console)
    except KeyboardInterrupt:
        context.labelled("", f"{job} goes on; daef watch {job} looks again")
        raise
    context.labelled("report", f"daef report {job}")
    return EXIT_STATUSES[found["status"]]


def _follow_as_json(context: Context, client: Client, job: str) -> int:
    """One line per change; the last one shows the end."""
    seen: object = None
    found: dict[str, Any] = {}
    for found in snapshots(client, job):
        state = (found["status"], found["reason"], found["progress"])
        if state != seen:
            context.print_json_line(found)
            seen = state
    return EXIT_STATUSES[found["status"]]


def run_report(context: Context, options: Arguments) -> int:
    """Print a report."""
    with context.client() as client:
        if options.format in ("markdown", "html") and not context.json:
            print(client.jobs.rendered_report(options.job, options.format), end="")
            return 0
        report = client.jobs.report(options.job)
    if context.json or options.format == "json":
        context.print_json(report)
    else:
        width = context.console.width
        context.print_lines(report_lines(report, noun="documents", width=width, details=ALL))
    return 0


def run_results(context: Context, options: Arguments) -> int:
    """Print results as they come."""
    with context.client() as client:
        for line in client.jobs.results(options.job):
            print(line)
    return 0


def run_events(context: Context, options: Arguments) -> int:
    """Print events as they come."""
    with context.client() as client:
        for event in client.jobs.events(options.job):
            context.print_json_line({"event": event.kind, "id": event.id, "data": event.data})
    return 0


def run_explain(context: Context, options: Arguments) -> int:
    """Print why a job is where it is."""
    with context.client() as client:
        explanation = client.jobs.explain(options.job)
    if context.json:
        context.print_json(explanation)
    else:
        context.print_lines(explanation_lines(explanation))
    return 0
