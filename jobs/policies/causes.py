"""Why tasks died, told apart: one cause is an error code and a message without its particulars."""

import hashlib
import re
from typing import Final

FINGERPRINT_CHARACTERS: Final = 16
"""Hexadecimal digits: 64 bits, so that a million causes still do not meet by chance."""

PATTERN_CHARACTERS: Final = 200
SEPARATOR: Final = "\n"

UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
LONG_HEX = re.compile(r"\b(?=[a-zA-Z]*[0-9])[0-9a-fA-F]{12,}\b")
QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|‘[^’]*’|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
# What can be an HTTP status stays: 401 and 503 are two causes.
NUMBER = re.compile(r"(?<![\w.])(?![45][0-9]{2}(?!\w))[0-9][0-9.,:_]*(?<![.,:])|(?<=-)[0-9]+\b")
BLANKS = re.compile(r"\s+")

DEFAULT_ADVICE: Final = (
    "The code is not one of the fabric's own: read the message and the executor's documentation, "
    "mend what it names, then requeue one task to see."
)

_SAME_INPUT: Final = "a requeue alone changes nothing: the input is the same."

ADVICE: Final[dict[str, str]] = {
    "worker_lost": "Requeue one first: if its agent dies again, look at that task's input and at "
    "the agent's memory.",
    "start_to_close_exceeded": "Make the tasks smaller or give the policy more "
    "start_to_close_seconds, then requeue.",
    "stop_ignored": "Look at what the executor was doing for so long without looking up, then "
    "requeue one.",
    "schedule_to_start_exceeded": "The queue was long then: requeue when agents are free.",
    "schedule_to_close_exceeded": "A requeue starts the time limits anew; look first at what made "
    "the attempts fail.",
    "invalid_outcome": "A bug of the executor: update it on the agents, then requeue.",
    "invalid_input": "Submit again with the field that is named mended: " + _SAME_INPUT,
    "parameters_invalid": "Submit again with other parameters: " + _SAME_INPUT,
    "input_invalid": "Submit again with input that is JSON: " + _SAME_INPUT,
    "parent_invalid": "A bug of the executor that ran the parent: update it on the agents, then "
    "submit the job again.",
    "artifact_unreadable": "Requeue; if it repeats, look at the control plane's log.",
    "artifact_unwritable": "Requeue; if it repeats, look at the control plane's log.",
    "executor_error": "Look at the agent's log for what was raised, mend it, then requeue.",
    "sleep_ms_invalid": "Submit again with another sleep_ms: " + _SAME_INPUT,
    "result_too_large": "Submit again so that each task brings less: a requeue ends here again.",
    "result_invalid": "A bug of the executor: update it on the agents, then requeue.",
    "kind_unknown": "Update the agents so that they have this executor, then requeue.",
    "kind_unavailable": "Install requirements-models.txt on the agents, then requeue.",
    "executor_not_loaded": "Give the nodes more memory, then requeue.",
    "model_unavailable": "Enable an endpoint that has the model and restart the agents, then "
    "requeue.",
    "model_unknown": "Mend the endpoint's model_names and restart the agents, then requeue.",
    "model_not_installed": "Install the model on the agents (make setup), then requeue.",
    "model_not_loaded": "Give the nodes more memory, then requeue.",
    "model_failed": "Requeue; if it repeats, look at the agent's log.",
    "model_busy": "Use fewer slots or more agents, then requeue.",
    "context_exceeded": "Use a model with more context or shorter texts: " + _SAME_INPUT,
    "model_refused_input": "Shorten or mend the input, or use another model: " + _SAME_INPUT,
    "model_timeout": "Look whether the endpoint answers, raise its timeout_seconds, then requeue.",
    "model_rate_limited": "Wait until the endpoint has room again, then requeue.",
    "model_overloaded": "Wait until the endpoint has recovered, then requeue.",
    "model_key_missing": "Set the key's variable on the agents first; until then every requeue "
    "ends here again.",
    "ceiling_reached": "Submit again with a higher budget or a smaller input.",
    "endpoint_backend": "Update the agents so that they know the endpoint's backend, then requeue.",
    "endpoint_auth": "Mend the endpoint's key first; until then every requeue ends here again.",
    "endpoint_address": "Mend the endpoint's base_url and restart the agents, then requeue.",
    "endpoint_unreachable": "Look whether the agents reach the endpoint, then requeue.",
    "endpoint_failed": "Look whether the endpoint answers again, then requeue.",
    "endpoint_refused": "Look at the status in the message, mend the endpoint, then requeue.",
    "endpoint_answer_unreadable": "Look whether the endpoint speaks OpenAI's format, then requeue.",
    "insufficient_quota": "Fill the endpoint's account first; until then every requeue ends here "
    "again.",
    "nothing_to_cluster": "Requeue the job's embed tasks; this one follows them by itself.",
    "vectors_differ": "Submit again with one embedding model for the whole job.",
    "vectors_unreadable": "Requeue the job's embed tasks; this one follows them by itself.",
    "nothing_to_reduce": "Requeue the tasks that this one collects; it follows them by itself.",
    "nothing_to_report": "Requeue the job's cluster task; this one follows it by itself.",
}
"""What to do, by error code; the same codes as in ``docs/reference/task-errors.md``."""


def pattern(message: str) -> str:
    """Return the message without what differs from task to task.

    Quoted words become ``…``, numbers and ids ``#``; three digits that can be an HTTP status of
    an error stay.
    """
    text = QUOTED.sub("…", message)
    text = NUMBER.sub("#", LONG_HEX.sub("#", UUID.sub("#", text)))
    return BLANKS.sub(" ", text).strip()[:PATTERN_CHARACTERS]


def fingerprint(code: str, message: str) -> str:
    """Return the name of the cause that a dead letter with this error has."""
    text = code + SEPARATOR + pattern(message)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:FINGERPRINT_CHARACTERS]


def advice(code: str) -> str:
    """Return whether a requeue would help against this error, and what has to come first."""
    return ADVICE.get(code, DEFAULT_ADVICE)
