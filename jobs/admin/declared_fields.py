"""The forms of what operators declare: each setting's label and meaning, as text and as a value.

What may be written is decided by the same structs that read a ``PUT``; here is only how a setting
is typed and shown. Pure but for Django's QueryDict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from django.http import QueryDict

from jobs.admin.words import age
from jobs.errors import DaefError
from jobs.planner.declarations import Spec, parse_declaration
from jobs.policies.policy import TYPES
from jobs.states import PRIORITIES

MICRO_PER_USD: Final = 1_000_000
MOST_SHOWN: Final = 30_000
"""Characters of one field that are looked at: a hundred model names."""

SECONDS_READ_EASILY: Final = 600
"""From here on a number of seconds is shown in larger units too."""

WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)

Kind = Literal["text", "whole", "number", "money", "lines", "several", "choice", "flag"]


@dataclass(frozen=True)
class Field:
    """One setting: ``empty`` is what leaving it empty means, where that can be."""

    name: str
    label: str
    kind: Kind
    help: str = ""
    empty: str = ""
    choices: tuple[str, ...] = ()
    unit: str = ""

    @property
    def is_short(self) -> bool:
        """Whether two such fields stand side by side."""
        return self.kind in ("whole", "number", "money", "choice")


NO_LIMIT: Final = "no limit"
FIELDS: Final[dict[str, tuple[Field, ...]]] = {
    "policies": (
        Field("pool", "Pool", "text", "Where its jobs run."),
        Field("types", "Job types", "several", choices=TYPES),
        Field("priorities", "Priorities", "several", choices=tuple(PRIORITIES)),
        Field("chat_model", "Chat model", "text", "Where a job names none."),
        Field("embedding_model", "Embedding model", "text", "Where a job names none."),
        Field("models", "Models", "lines", "One a line; * allows every one."),
        Field("locations", "Locations", "lines", "Where data may go, one a line; * is anywhere."),
        Field("limit_usd", "Budget of a job", "number", empty=NO_LIMIT, unit="USD"),
        Field("max_parallelism", "Tasks of a job at once", "whole", empty=NO_LIMIT),
        Field("max_tasks", "Tasks of a job", "whole"),
        Field("max_documents", "Documents of a job", "whole"),
        Field("max_attempts", "Attempts of a task", "whole", empty="as the fabric is set"),
        Field("start_to_close_seconds", "One attempt may take", "number", unit="s"),
        Field("schedule_to_start_seconds", "A task may wait", "number", empty=NO_LIMIT, unit="s"),
        Field(
            "schedule_to_close_seconds",
            "A task may take, waiting included",
            "number",
            empty=NO_LIMIT,
            unit="s",
        ),
        Field("job_deadline_seconds", "A job may take", "number", empty=NO_LIMIT, unit="s"),
    ),
    "endpoints": (
        Field("backend", "Backend", "choice", choices=("embedded", "openai")),
        Field(
            "base_url",
            "Address",
            "text",
            "Of an OpenAI-compatible server; none where embedded.",
            empty="inside the agent",
        ),
        Field("model_names", "Models", "lines", "One a line, as the server calls them."),
        Field("location", "Location", "text", "Policies say where data may go."),
        Field(
            "key_name",
            "Name of the key",
            "text",
            "Agents read the key from DAEF_MODEL_KEY_<name>; it is never kept here.",
            empty="none",
        ),
        Field("input_price", "Input", "money", "Per million tokens.", unit="USD"),
        Field("output_price", "Output", "money", "Per million tokens.", unit="USD"),
        Field("timeout_seconds", "A call may take", "whole", unit="s"),
        Field("enabled", "Enabled", "flag", "Models are called here."),
    ),
    "tenants": (
        Field("weight", "Weight", "whole", "Hundredths of a share: 200 gets twice what 100 gets."),
        Field("max_running_tasks", "Running at most", "whole", "In each pool.", empty=NO_LIMIT),
    ),
    "pools": (
        Field("max_running_tasks", "Running at most", "whole", "Tasks at once.", empty=NO_LIMIT),
        Field("interactive_bound_seconds", "Interactive may wait", "whole", unit="s"),
        Field("standard_bound_seconds", "Standard may wait", "whole", unit="s"),
        Field("batch_bound_seconds", "Batch may wait", "whole", unit="s"),
    ),
}
"""The settings of each kind, as the form asks for them."""


@dataclass(frozen=True)
class SettingsForm:
    """What was typed for one kind; ``errors`` says by field what cannot be used, and why."""

    kind: str
    texts: Mapping[str, str]
    chosen: Mapping[str, tuple[str, ...]]
    errors: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Return each field with what is in it."""
        return [
            {
                "field": one,
                "text": self.texts.get(one.name, ""),
                "chosen": self.chosen.get(one.name, ()),
                "wrong": one.name in self.errors,
            }
            for one in FIELDS[self.kind]
        ]

    def carried(self) -> list[tuple[str, str]]:
        """Return what the confirm page carries along."""
        several = [(name, each) for name, values in self.chosen.items() for each in values]
        return [*self.texts.items(), *several]


def form_of(kind: str, spec: Spec) -> SettingsForm:
    """Return the form as it shows these settings."""
    texts, chosen = {}, {}
    for one in FIELDS[kind]:
        value = getattr(spec, one.name)
        if one.kind == "several":
            chosen[one.name] = tuple(value)
        else:
            texts[one.name] = _text(one, value)
    return SettingsForm(kind, texts, chosen)


def read_form(kind: str, given: QueryDict) -> SettingsForm:
    """Return what was typed."""
    texts, chosen = {}, {}
    for one in FIELDS[kind]:
        if one.kind == "several":
            picked = given.getlist(one.name)[: len(one.choices)]
            chosen[one.name] = tuple(each for each in picked if each in one.choices)
        else:
            texts[one.name] = given.get(one.name, "").strip()[:MOST_SHOWN]
    return SettingsForm(kind, texts, chosen)


def spec_of(form: SettingsForm) -> Spec | None:
    """Return the settings, checked as a ``PUT`` is; None where ``form.errors`` tells why not."""
    values = {one.name: _value(one, form) for one in FIELDS[form.kind]}
    if form.errors:
        return None
    try:
        return parse_declaration(form.kind, msgspec.json.encode({"spec": values})).spec
    except DaefError as error:
        for wrong in error.fields:
            form.errors[re.split(r"[.\[]", wrong.field.removeprefix("spec."))[0]] = wrong.message
        if not error.fields:
            form.errors[""] = error.detail
    return None


def shown(one: Field, value: Any) -> Any:
    """Return a setting as pages show it: a list stays one."""
    if value is None or value == "":
        return one.empty
    if one.kind in ("lines", "several"):
        return list(value)
    if one.kind == "flag":
        return "yes" if value else "no"
    if one.kind in ("whole", "number", "money"):
        return _amount(one, value)
    return value


def settings_shown(kind: str, spec: Spec) -> list[tuple[str, Any]]:
    """Return each setting's label and value."""
    return [(one.label, shown(one, getattr(spec, one.name))) for one in FIELDS[kind]]


def differences(kind: str, before: Spec | None, after: Spec) -> list[tuple[str, Any, Any]]:
    """Return label, old and new value of what differs; of everything where there is none yet."""
    found = []
    for one in FIELDS[kind]:
        new = getattr(after, one.name)
        old = None if before is None else getattr(before, one.name)
        if before is None:
            found.append((one.label, None, shown(one, new)))
        elif old != new:
            found.append((one.label, shown(one, old), shown(one, new)))
    return found


def _amount(one: Field, value: float) -> str:
    if one.kind == "money":
        amount = Decimal(value) / MICRO_PER_USD
        return f"${amount:,.2f}" if amount == round(amount, 2) else f"${_plain(amount)}"
    if one.unit == "USD":
        return f"${value:,.2f}" if value == round(value, 2) else f"${value:,}"
    number = f"{value:,.0f}" if value == int(value) else f"{value:,}"
    in_words = f" ({age(value)})" if one.unit == "s" and value >= SECONDS_READ_EASILY else ""
    return f"{number} {one.unit}".rstrip() + in_words


def _text(one: Field, value: Any) -> str:
    if value is None:
        return ""
    if one.kind == "lines":
        return "\n".join(value)
    if one.kind == "flag":
        return "1" if value else ""
    if one.kind == "money":
        return _plain(Decimal(value) / MICRO_PER_USD)
    return _plain(Decimal(str(value))) if one.kind == "number" else str(value)


def _plain(amount: Decimal) -> str:
    """A decimal number without an exponent and without zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _value(one: Field, form: SettingsForm) -> Any:
    if one.kind == "several":
        return list(form.chosen[one.name])
    text = form.texts[one.name]
    if one.kind == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if one.kind == "flag":
        return text == "1"
    if one.kind in ("text", "choice"):
        return text
    return _number(one, text, form)


def _number(one: Field, text: str, form: SettingsForm) -> float | None:
    if not text and one.empty:
        return None
    if one.kind == "whole" and WHOLE.fullmatch(text):
        return int(text)
    if one.kind == "number" and NUMBER.fullmatch(text):
        return float(text)
    if one.kind == "money" and NUMBER.fullmatch(text):
        return int(Decimal(text) * MICRO_PER_USD)
    wanted = "a whole number" if one.kind == "whole" else "a number like 12.5"
    form.errors[one.name] = f"write {wanted}" + (", or leave it empty" if one.empty else "")
    return None
