"""Reading a task's parameters: the value, its default, or an error that names the field.

The planner has checked most of this; a pipeline or a hand-made task has not been through it.
"""

from collections.abc import Mapping
from typing import Any

from workeragent.outcome import InvalidInputError


def invalid(field: str, remedy: str) -> InvalidInputError:
    """The error for one wrong field of a task's input or parameters."""
    return InvalidInputError("invalid_input", f"{field}: {remedy}")


def whole_number(
    parameters: Mapping[str, Any], field: str, *, default: int, least: int, most: int
) -> int:
    """A whole number between ``least`` and ``most``, both included."""
    value = parameters.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(field, f"must be a whole number from {least} to {most}.")
    return value


def number(
    parameters: Mapping[str, Any], field: str, *, default: float, least: float, most: float
) -> float:
    """A number between ``least`` and ``most``, both included."""
    value = parameters.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(field, f"must be a number from {least:g} to {most:g}.")
    if not least <= value <= most:
        raise invalid(field, f"must be a number from {least:g} to {most:g}.")
    return float(value)


def text(parameters: Mapping[str, Any], field: str, *, default: str = "") -> str:
    """A string."""
    value = parameters.get(field)
    if value is None:
        return default
    if not isinstance(value, str):
        raise invalid(field, "must be a string.")
    return value


def documents(value: Any) -> list[dict[str, str]]:
    """``{"documents": [{"id", "text"}, …]}`` as a list of documents, at least one.

    Raises InvalidInputError that names the first wrong one by its position.
    """
    found = value.get("documents") if isinstance(value, dict) else None
    if not isinstance(found, list) or not found:
        raise invalid("documents", "must be a list of at least one {id, text}.")
    return [_document(position, document) for position, document in enumerate(found)]


def _document(position: int, document: Any) -> dict[str, str]:
    if not isinstance(document, dict):
        raise invalid(f"documents[{position}]", "must be an object with id and text.")
    for field in ("id", "text"):
        if not isinstance(document.get(field), str):
            raise invalid(f"documents[{position}].{field}", "must be a string.")
    return {"id": document["id"], "text": document["text"]}
