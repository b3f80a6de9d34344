"""What a scrape tells, sample by sample."""

import json

from jobs.queries.metrics import scrape
from jobs.states import TaskStatus
from jobs.transitions.settling import UsageRow


def value(name, **labels):
    """A sample's value as a scrape tells it now."""
    found = [
        sample.value
        for family in scrape().families
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def tasks(pool="default"):
    """The gauge of tasks of a pool, by status; zeros left out."""
    found = {status.value: value("daef_tasks", status=status, pool=pool) for status in TaskStatus}
    return {status: count for status, count in found.items() if count}


def call(task, model="smollm2-135m", number=0):
    """A model call of a task."""
    return UsageRow(task.id, task.epoch, number, "embedded-chat", model, 10, 5, 700, wasted=False)


def samples():
    """Every sample of a scrape that does not depend on the moment."""
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True)): sample.value
        for family in scrape().families
        for sample in family.samples
        if family.name != "daef_oldest_queued_seconds" and not sample.name.startswith("django_")
    }
