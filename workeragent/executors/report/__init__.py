"""Executor ``report``: the analysis as people read it.

Parents are the ``cluster`` task and its ``label`` tasks. A label that is missing or failed is
replaced by one made from keywords, so that the report is whole whatever became of the models.
Result ``{"summary", "documents", "causes", "unexplained", "method"}``; each document's id is in
exactly one list, and each cause cites only its own documents.
"""

from typing import Any

from workeragent.executors.context import TaskContext
from workeragent.executors.label import BY_KEYWORDS
from workeragent.executors.label.titles import explanation, readable_title
from workeragent.outcome import PermanentError, Result

NAMED_IN_SUMMARY = 3

Json = dict[str, Any]


def run(context: TaskContext) -> Result:
    """Put the causes, their labels and what is left together."""
    clustering, labels = _parents(context)
    total = clustering["documents"]
    causes = [_cause(each, labels.get(each["rank"]), total) for each in clustering["clusters"]]
    _tell_apart(causes)
    unexplained = clustering["unexplained"]
    return Result(
        {
            "summary": summary(causes, total, len(unexplained)),
            "documents": total,
            "causes": causes,
            "unexplained": {"documents": len(unexplained), "document_ids": unexplained},
            "method": clustering["method"],
        }
    )


def summary(causes: list[Json], total: int, unexplained: int) -> str:
    """Two or three sentences: how many causes, the largest by name, what was left."""
    largest = "; ".join(
        f"“{cause['title']}” ({cause['documents']}, {cause['share']:.0%})"
        for cause in causes[:NAMED_IN_SUMMARY]
    )
    found = f"{_counted(total, 'document')}: {_counted(len(causes), 'cause')} found."
    left = f" {_counted(unexplained, 'document')} fit no cause." if unexplained else ""
    return f"{found} {'The largest: ' if len(causes) > 1 else ''}{largest}.{left}"


def _parents(context: TaskContext) -> tuple[Json, dict[int, Json]]:
    clustering: Json | None = None
    labels: dict[int, Json] = {}
    for parent in context.parents():
        value = context.parent_value(parent) if parent.status == "Succeeded" else None
        if not isinstance(value, dict):
            continue
        if "clusters" in value:
            clustering = value
        elif "cluster" in value and "title" in value:
            labels[value["cluster"]] = value
    if clustering is None:
        raise PermanentError("nothing_to_report", "The clustering this report is about failed.")
    return clustering, labels


def _cause(cluster: Json, label: Json | None, total: int) -> Json:
    return {
        "rank": cluster["rank"],
        **_naming(cluster, label),
        "keywords": cluster["keywords"],
        "documents": cluster["documents"],
        "share": round(cluster["documents"] / total, 4),
        "confidence": cluster["confidence"],
        "evidence": cluster["evidence"],
        "document_ids": cluster["document_ids"],
    }


def _naming(cluster: Json, label: Json | None) -> Json:
    if label is not None:
        return {key: label[key] for key in ("title", "explanation", "labelled_by")}
    keywords, examples = cluster["keywords"], cluster["examples"]
    return {
        "title": readable_title(keywords, examples),
        "explanation": explanation(cluster["documents"], keywords, examples),
        "labelled_by": BY_KEYWORDS,
    }


def _tell_apart(causes: list[Json]) -> None:
    """Causes with the same title get their first keyword that the others' titles lack added."""
    taken: set[str] = set()
    for cause in causes:
        title, additions = cause["title"], iter(cause["keywords"])
        while cause["title"].casefold() in taken:
            addition = next(additions, f"group {cause['rank']}")
            if addition.casefold() not in title.casefold():
                cause["title"] = f"{title} ({addition})"
        taken.add(cause["title"].casefold())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
