"""What tasks take: expected tokens for fairness and estimates, ceilings for money.

Expected tokens are a guess (characters over four, as OpenAI's documentation suggests for English).
Ceilings are bounds: a token is at least one byte, so no prompt has more tokens than bytes.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobs.policies.policy import EndpointSpec

CHARACTERS_PER_TOKEN = 4
TEMPLATE_TOKENS = 256
"""Room for the chat template and the instructions that executors add."""

COLLECTED_TOKENS = 4_096
"""Most input one call of a collecting executor reads; its groups are far smaller."""

BYTES_PER_GROUP_TOKEN = 12
"""``reduce`` keeps three characters of text per token of its groups, of up to four bytes each."""

DEFAULT_GROUP_TOKENS = 150
LARGEST_AMOUNT = 2**63 - 1
LABEL_INPUT_TOKENS = 1_024
LABEL_OUTPUT_TOKENS = 64

DEFAULT_OUTPUT_TOKENS = {"chat": 128, "reduce": 96, "label": 20}
"""As the executors have them when a task names no max_tokens."""

PROMPT_TOKENS_PER_SECOND = 90.0
OUTPUT_TOKENS_PER_SECOND = 60.0
EMBEDDED_TEXTS_PER_SECOND = 150.0
TASK_SECONDS = 0.02
"""Measured on one core for the embedded models; other endpoints are usually faster."""

MODEL_KINDS = frozenset({"chat", "reduce", "label", "embed"})


class TaskCost(NamedTuple):
    """What one attempt of a task is expected to take, and may cost at the most."""

    expected_tokens: int
    input_tokens: int
    output_tokens: int
    ceiling_nano_usd: int


FREE = TaskCost(0, 0, 0, 0)


def task_cost(
    kind: str,
    input_text: str,
    max_tokens: int | None,
    *,
    model: str,
    endpoints: Sequence[EndpointSpec],
    collected: int = 0,
    parameters_text: str = "",
    group_tokens: int | None = None,
) -> TaskCost:
    """The cost of one attempt; ``collected`` counts the parents whose results it reads.

    ``parameters_text`` is the JSON of the parameters: a question or a system text in it is read
    with every call. ``group_tokens`` is how much a ``reduce`` reads at once.
    """
    if kind not in MODEL_KINDS:
        return FREE
    expected_input = math.ceil(len(input_text) / CHARACTERS_PER_TOKEN) + collected * 64
    output = max_tokens or DEFAULT_OUTPUT_TOKENS.get(kind, 0)
    calls, most_input, most_output = _bounds(
        kind,
        len(input_text.encode()) + len(parameters_text.encode()),
        output,
        collected,
        group_tokens,
    )
    prices = [endpoint for endpoint in endpoints if model in endpoint.models]
    ceiling = max(
        (
            _nano_usd(calls * most_input, endpoint.input_price)
            + _nano_usd(calls * most_output, endpoint.output_price)
            for endpoint in prices
        ),
        default=0,
    )
    return TaskCost(expected_input + output, expected_input, output, min(ceiling, LARGEST_AMOUNT))


def _bounds(
    kind: str, size: int, output: int, collected: int, group_tokens: int | None
) -> tuple[int, int, int]:
    """Calls, and the most input and output tokens of each; ``size`` in bytes."""
    size += TEMPLATE_TOKENS
    if kind == "embed":
        return 1, size, 0
    if kind == "label":
        return 2, LABEL_INPUT_TOKENS, LABEL_OUTPUT_TOKENS
    if kind == "reduce":
        group = BYTES_PER_GROUP_TOKEN * (group_tokens or DEFAULT_GROUP_TOKENS)
        # All groups of a level but the last have two texts or more: at most n + log2(n) calls.
        return (
            max(1, collected + collected.bit_length()),
            size + max(group, COLLECTED_TOKENS),
            output,
        )
    return 1, size + (COLLECTED_TOKENS if collected else 0), output


def _nano_usd(tokens: int, price: int) -> int:
    """``price`` in micro-USD per million tokens is nano-USD per thousand; rounded up."""
    return -(-tokens * price // 1000)


def expected_nano_usd(
    costs: Iterable[tuple[TaskCost, str]], endpoints: Sequence[EndpointSpec]
) -> int:
    """What tasks of ``(cost, model)`` will probably cost."""
    prices = {model: endpoint for endpoint in endpoints for model in endpoint.models}
    return sum(
        _nano_usd(cost.input_tokens, prices[model].input_price)
        + _nano_usd(cost.output_tokens, prices[model].output_price)
        for cost, model in costs
        if model in prices
    )


def task_seconds(kind: str, cost: TaskCost) -> float:
    """How long one attempt probably takes on one slot of an agent with embedded models."""
    if kind == "embed":
        return TASK_SECONDS + cost.input_tokens / (20 * EMBEDDED_TEXTS_PER_SECOND)
    if kind not in MODEL_KINDS:
        return TASK_SECONDS
    return (
        TASK_SECONDS
        + cost.input_tokens / PROMPT_TOKENS_PER_SECOND
        + cost.output_tokens / OUTPUT_TOKENS_PER_SECOND
    )
