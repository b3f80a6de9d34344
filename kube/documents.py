"""What a job works on, read from a ConfigMap's text as the client reads files."""

import json
import tempfile
from pathlib import Path
from typing import Any

from client.documents import read_documents
from client.errors import Usage
from kube.reconcile.refusals import NotTaken


def documents_in(text: str, key: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents; ``parameters`` may name the columns of a CSV. Raises NotTaken."""
    with tempfile.TemporaryDirectory(prefix="daef-operator-") as folder:
        path = Path(folder) / key
        path.write_text(text, encoding="utf-8")
        try:
            found = read_documents(
                path,
                text_column=str(parameters.get("text_column", "")),
                id_column=str(parameters.get("id_column", "")),
            )
        except Usage as error:
            told = str(error).replace(f"{folder}/", "")
            raise NotTaken("InvalidInput", f"documentsFrom: {told}") from error
    _check_can_be_sent(found, key, "documentsFrom")
    return found


def work_in(text: str, key: str, field: str) -> list[Any]:
    """Requests or tasks: a JSON list, or a value in each line. Raises NotTaken."""
    try:
        if key.endswith(".jsonl"):
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotTaken("InvalidInput", f"{field}: {key} is not JSON: {error}.") from error
    if not isinstance(found, list):
        raise NotTaken("InvalidInput", f"{field}: {key} must be a JSON list.")
    _check_can_be_sent(found, key, field)
    return found


def _check_can_be_sent(found: list[Any], key: str, field: str) -> None:
    """Python reads more than JSON has; what cannot be written again would be tried for ever."""
    try:
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise NotTaken(
            "InvalidInput",
            f"{field}: {key} holds what JSON cannot: NaN, an infinity or half of a surrogate pair "
            f"({error}).",
        ) from error
