"""What the console's templates call: badges, icons, bars, times, numbers. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from jobs.admin import words
from jobs.admin.icons import PATHS
from jobs.queries.rendering.words import dollars

register = template.Library()

register.filter("number", words.number)
register.filter("short_number", words.short_number)
register.filter("capped", words.capped)
register.filter("duration", words.age)
register.filter("ordinal", words.ordinal)
register.filter("plain_name", words.plain_name)
register.filter("dollars", dollars)
register.filter("percent", words.percent)


@register.filter
def get(values: Mapping[str, Any] | None, name: str) -> Any:
    """Return what a mapping holds under a name, None where nothing is."""
    return values.get(name) if values else None


@register.simple_tag
def field_error(errors: Mapping[str, str], name: str) -> SafeString:
    """Return the attributes of a field: what describes it, and that it is wrong where it is."""
    wrong = mark_safe(' aria-invalid="true"') if name in errors else ""  # nosec B308 # our own constant
    return format_html('aria-describedby="{}-help"{}', name, wrong)


BAR_PARTS = (
    ("succeeded", "ok-f"),
    ("dead_lettered", "bad-f"),
    ("cancelled", "idle-f"),
    ("running", "run-f"),
)
"""The parts of a progress bar from the left, with their colours."""


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon; readers of the screen pass over it."""
    drawing = mark_safe(PATHS[name])  # noqa: S308 # nosec B308 B703 # our own constant
    return format_html('<svg class="i" viewBox="0 0 24 24" aria-hidden="true">{}</svg>', drawing)


@register.simple_tag
def badge(state: str) -> SafeString:
    """Return a state as shape, word and colour; the API's own value is its title."""
    shown = words.BADGES[state]
    return format_html(
        '<span class="badge {}" title="{}">{}{}</span>',
        shown.colour,
        state,
        icon(shown.icon),
        shown.word,
    )


@register.simple_tag
def word(state: str) -> str:
    """Return the word of a state alone, where its badge would be too much."""
    return words.BADGES[state].word


@register.simple_tag
def bar(counts: dict[str, int], size: str = "") -> SafeString:
    """Return a bar of ended and running tasks; the number stands beside it, not in it."""
    total = max(counts["total"], counts.get("planned_min", 0), 1)
    parts = ((colour, 100 * counts[name] / total) for name, colour in BAR_PARTS if counts[name])
    return format_html('<div class="bar {}" aria-hidden="true">{}</div>', size, _filled(parts))


@register.simple_tag
def share_bar(part: float, whole: float, colour: str = "run-f") -> SafeString:
    """Return a bar of one part of a whole, full at most."""
    percent = 100 * min(part / whole, 1) if whole else 0
    filled = _filled([(colour, percent)])
    return format_html('<div class="bar t" aria-hidden="true">{}</div>', filled)


@register.simple_tag
def money_bar(used: float, reserved: float, limit: float) -> SafeString:
    """Return a bar of money: what was used, and hatched what is reserved, of a limit."""
    whole = max(limit, used + reserved) or 1
    filled = _filled([("ev-f", 100 * used / whole), ("hatch", 100 * reserved / whole)])
    return format_html('<div class="bar t" aria-hidden="true">{}</div>', filled)


@register.simple_tag
def when(value: datetime | str | None) -> SafeString | str:
    """Return a time of day; its title is the whole RFC 3339 time."""
    time = words.parsed_time(value)
    if time is None:
        return words.UNKNOWN
    return _time(time, words.clock(time, now=timezone.now()))


@register.simple_tag
def ago(value: datetime | str | None) -> SafeString | str:
    """Return how long ago something was."""
    time = words.parsed_time(value)
    if time is None:
        return words.UNKNOWN
    return _time(time, words.age((timezone.now() - time).total_seconds()))


@register.simple_tag
def lasted(start: datetime | str | None, end: datetime | str | None) -> str:
    """Return how long something took, or takes so far."""
    began, ended = words.parsed_time(start), words.parsed_time(end) or timezone.now()
    return words.took((ended - began).total_seconds()) if began else words.UNKNOWN


@register.simple_tag
def cell(value: Any) -> Any:
    """Return a table's cell or a fact: a link, a time, a number, a list, or plain text."""
    if isinstance(value, dict):
        return format_html('<a href="{}">{}</a>', value["href"], value["text"])
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, list | tuple):
        chips = ((item,) for item in value)
        return format_html_join(" ", '<span class="chip">{}</span>', chips) or words.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return words.number(value)
    return words.UNKNOWN if value in (None, "") else value


def _filled(parts: Iterable[tuple[str, float]]) -> SafeString:
    widths = ((colour, f"{percent:.2f}") for colour, percent in parts)
    return format_html_join("", '<i class="{}" style="width:{}%"></i>', widths)


def _time(value: datetime, text: str) -> SafeString:
    exact = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, exact, text)
