"""Documents into groups that fit a task."""

from collections.abc import Sequence

from jobs.errors import FieldError, InvalidRequest
from jobs.planner.request import Document, GivenDocument

MAX_ERRORS = 20


def numbered(given: Sequence[str | GivenDocument]) -> list[Document]:
    """Documents as a request gives them, those without an id named by their position."""
    documents = []
    for number, each in enumerate(given, 1):
        if isinstance(each, str):
            documents.append(Document(f"doc-{number}", each))
        else:
            documents.append(Document(each.id or f"doc-{number}", each.text, each.metadata))
    return documents


def check(documents: Sequence[Document], *, most: int) -> None:
    """Raises InvalidRequest naming every document that is empty or repeats an id."""
    if len(documents) > most:
        raise InvalidRequest.field(
            "documents", f"there are {len(documents)}; at most {most} are allowed; split the job"
        )
    wrong = []
    seen: set[str] = set()
    for number, document in enumerate(documents):
        if not document.text.strip():
            wrong.append(
                FieldError(f"documents[{number}].text", "is empty; leave the document out")
            )
        if document.id in seen:
            text = f"{document.id[:100]!r} is there twice; give each document its own id"
            wrong.append(FieldError(f"documents[{number}].id", text))
        seen.add(document.id)
        if len(wrong) == MAX_ERRORS:
            break
    if wrong:
        raise InvalidRequest(f"{wrong[0].field}: {wrong[0].message}", fields=wrong)


def in_groups(documents: Sequence[Document], *, most: int, characters: int) -> list[list[Document]]:
    """Neighbours together: at most ``most`` a group, and ``characters`` of text if possible."""
    groups: list[list[Document]] = []
    room = 0
    for document in documents:
        size = len(document.text)
        if not groups or len(groups[-1]) >= most or size > room:
            groups.append([])
            room = characters
        groups[-1].append(document)
        room -= size
    return groups


def as_input(documents: Sequence[Document]) -> dict[str, object]:
    """The input of a task that works on these documents."""
    return {"documents": [{"id": each.id, "text": each.text} for each in documents]}
