"""Executor ``cluster``: vectors to causes.

Parents are ``embed`` tasks. Parameters: ``input`` (the question, kept for the log), ``minimum``
and ``maximum`` (bounds for the number of causes, default 1 and 40), ``label_model`` (chat model
of the spawned tasks). Spawns one ``label`` task per cause, ``label-<rank>``. The result is what
``report`` needs: ``{"documents": n, "clusters": [{"rank", "documents", "document_ids" (most
typical first), "evidence": [{"id", "text", "score"}], "keywords", "vocabulary", "confidence"}],
"unexplained": [ids], "method": {…}, "missing": [names of parents without vectors]}``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workeragent.executors.cluster.grouping import (
    MOST_GROUPS,
    NEVER_SAME,
    UNEXPLAINED,
    Grouping,
    find_groups,
)
from workeragent.executors.cluster.keywords import Wording, describe_groups
from workeragent.executors.context import ParentResult, TaskContext
from workeragent.executors.embed import vectors as archive
from workeragent.executors.parameters import invalid, text, whole_number
from workeragent.models.answers import Vectors, unit_rows
from workeragent.models.registry import CHAT_MODEL, EMBEDDING_MODEL
from workeragent.outcome import PermanentError, Result, Spawn

MOST_CAUSES = 100
EVIDENCE = 5
EVIDENCE_CHARACTERS = 500
SAME_CAUSE_SIMILARITY = {EMBEDDING_MODEL: 0.5}
"""MiniLM puts paraphrases of one request at a cosine of about 0.6 and other requests to the same
business at 0.2 to 0.4. Other models have other scales; without a figure nothing is joined."""

LABEL_EXAMPLES = 8
"""Texts a label task gets: two go into the prompt, all serve the title made without a model."""

LABEL_EXAMPLE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Corpus:
    """All documents of a job with their unit vectors, in task order."""

    documents: list[archive.Document]
    vectors: Vectors
    model: str
    missing: list[str]


def run(context: TaskContext) -> Result:
    """Find the causes in the parents' documents and ask for a label for each."""
    minimum, maximum = _bounds(context.task.parameters)
    label_model = text(context.task.parameters, "label_model", default=CHAT_MODEL)
    corpus = _read(context)
    context.check()
    grouping = find_groups(
        corpus.vectors,
        minimum=minimum,
        maximum=maximum,
        same_cause=SAME_CAUSE_SIMILARITY.get(corpus.model, NEVER_SAME),
    )
    clusters = _clusters(corpus, grouping)
    context.log(f"{len(corpus.documents)} documents in {len(clusters)} causes")
    value = {
        "documents": len(corpus.documents),
        "clusters": clusters,
        "unexplained": _ids(corpus, np.flatnonzero(grouping.labels == UNEXPLAINED)),
        "method": _method(corpus, grouping),
        "missing": corpus.missing,
    }
    return Result(value, tuple(_label_task(cluster, label_model) for cluster in clusters))


def _bounds(parameters: dict[str, Any]) -> tuple[int, int]:
    minimum = whole_number(parameters, "minimum", default=1, least=1, most=MOST_CAUSES)
    maximum = whole_number(
        parameters, "maximum", default=max(MOST_GROUPS, minimum), least=1, most=MOST_CAUSES
    )
    if minimum > maximum:
        raise invalid("minimum", "must not be larger than maximum.")
    return minimum, maximum


def _read(context: TaskContext) -> Corpus:
    documents: list[archive.Document] = []
    parts: list[Vectors] = []
    models: set[str] = set()
    missing: list[str] = []
    for parent in context.parents():
        value = _embedded(context, parent)
        if value is None:
            missing.append(parent.name)
            continue
        found, vectors = archive.unpack(context.read_artifact(value["artifact"]))
        documents += found
        parts.append(vectors)
        models.add(str(value.get("model", "")))
    if not documents:
        raise PermanentError("nothing_to_cluster", "No parent of this task has vectors.")
    if len(models) > 1 or len({part.shape[1] for part in parts}) > 1:
        raise PermanentError("vectors_differ", "The parents used different embedding models.")
    return Corpus(documents, unit_rows(np.vstack(parts)), models.pop(), missing)


def _embedded(context: TaskContext, parent: ParentResult) -> dict[str, Any] | None:
    value = context.parent_value(parent) if parent.status == "Succeeded" else None
    return value if isinstance(value, dict) and value.get("artifact") else None


def _clusters(corpus: Corpus, grouping: Grouping) -> list[dict[str, Any]]:
    groups = [_most_typical(grouping, group) for group in range(int(grouping.labels.max()) + 1)]
    left = np.flatnonzero(grouping.labels == UNEXPLAINED)
    wordings = describe_groups([_texts(corpus, rows) for rows in groups], _texts(corpus, left))
    return [
        _cluster(rank, rows, wording, corpus, grouping)
        for rank, (rows, wording) in enumerate(zip(groups, wordings, strict=True), start=1)
    ]


def _most_typical(grouping: Grouping, group: int) -> NDArray[np.int64]:
    members = np.flatnonzero(grouping.labels == group)
    return members[np.argsort(-grouping.similarity[members], kind="stable")]


def _cluster(
    rank: int, rows: NDArray[np.int64], wording: Wording, corpus: Corpus, grouping: Grouping
) -> dict[str, Any]:
    confidence = float(np.clip(grouping.silhouette[rows].mean(), 0.0, 1.0))
    return {
        "rank": rank,
        "documents": len(rows),
        "document_ids": _ids(corpus, rows),
        "evidence": _evidence(rows, corpus, grouping),
        "examples": _distinct(_texts(corpus, rows), LABEL_EXAMPLES, LABEL_EXAMPLE_CHARACTERS),
        "keywords": list(wording.keywords),
        "vocabulary": wording.vocabulary,
        "confidence": round(confidence, 3),
    }


def _evidence(rows: NDArray[np.int64], corpus: Corpus, grouping: Grouping) -> list[dict[str, Any]]:
    """The most typical documents, each text once."""
    seen: set[str] = set()
    cited: list[dict[str, Any]] = []
    for row in rows:
        document = corpus.documents[row]
        if document["text"] in seen or len(cited) == EVIDENCE:
            continue
        seen.add(document["text"])
        score = round(float(np.clip(grouping.similarity[row], 0.0, 1.0)), 3)
        excerpt = document["text"][:EVIDENCE_CHARACTERS]
        cited.append({"id": document["id"], "text": excerpt, "score": score})
    return cited


def _method(corpus: Corpus, grouping: Grouping) -> dict[str, Any]:
    return {
        "embedding_model": corpus.model,
        "clusters_considered": list(grouping.considered),
        "score": round(grouping.score, 3),
    }


def _label_task(cluster: dict[str, Any], model: str) -> Spawn:
    asked = {key: cluster[key] for key in ("keywords", "examples", "vocabulary", "documents")}
    return Spawn(
        name=f"label-{cluster['rank']}",
        kind="label",
        input={"cluster": cluster["rank"], **asked},
        parameters={},
        model=model,
    )


def _distinct(texts: list[str], most: int, characters: int) -> list[str]:
    return list(dict.fromkeys(text[:characters] for text in texts))[:most]


def _ids(corpus: Corpus, rows: NDArray[np.int64]) -> list[str]:
    return [corpus.documents[row]["id"] for row in rows]


def _texts(corpus: Corpus, rows: NDArray[np.int64]) -> list[str]:
    return [corpus.documents[row]["text"] for row in rows]
