"""``daef cancel``, ``suspend``, ``resume``, ``retry``: changing how a job goes on."""

from __future__ import annotations

import argparse
from typing import Any

from ..api import JOB_ENDS
from ..terminal.words import counted, status_word
from .context import Context

Arguments = argparse.Namespace

TEXTS = {
    "cancel": ("cancel a job", "{id} is being cancelled; {running} running tasks are stopped"),
    "suspend": ("start no new task of a job", "{id}: no new task starts; {running} running finish"),
    "resume": ("let a suspended job go on", "{id} goes on; {queued} tasks are queued"),
    "retry": ("open a job's dead-lettered tasks again", "{id}: {reopened} queued again"),
}
"""Per action its help, and what is said when it was done."""


def add_to(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands that change jobs to the command line."""
    for name, (text, _) in TEXTS.items():
        parser = commands.add_parser(name, help=text, parents=[shared])
        parser.add_argument("job")
        parser.set_defaults(run=run, action=name)


def run(context: Context, options: Arguments) -> int:
    """Do it and say what has become of the job."""
    with context.client() as client:
        answer = getattr(client.jobs, options.action)(options.job)
    if context.json:
        context.print_json(answer)
        return 0
    # A retry answers the job beside the number of tasks that it reopened.
    job = answer.get("job", answer)
    figures = {
        **job["progress"],
        "id": job["id"],
        "reopened": counted(answer.get("reopened", 0), "task"),
    }
    done = TEXTS[options.action][1].format(**figures)
    context.labelled(options.action, _ended(job, answer) or done)
    return 0


def _ended(job: dict[str, Any], answer: dict[str, Any]) -> str:
    """What to say of a job that has ended, or of a retry of nothing; empty otherwise."""
    if answer.get("reopened") == 0:
        return f"{job['id']} has no dead-lettered tasks; nothing was changed"
    if "reopened" not in answer and job["status"] in JOB_ENDS:
        return f"{job['id']} has ended: {status_word(job['status']).lower()}"
    return ""
