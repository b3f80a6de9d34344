"""The shape of the metrics' JSON."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from jobs.api.shapes import Shape


class Bucket(Shape):
    """How many observations are at most `le` ("+Inf": all)."""

    le: str
    count: int


class MetricSample(Shape):
    """A value under its labels; a histogram has `count`, `sum` and `buckets` in its place."""

    labels: dict[str, str]
    value: float | UnsetType = UNSET
    count: int | UnsetType = UNSET
    sum: float | UnsetType = UNSET
    buckets: list[Bucket] | UnsetType = UNSET


class Metric(Shape):
    """One metric of docs/reference/metrics.md."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[MetricSample]


class Metrics(Shape):
    """Every figure of the fabric."""

    as_of: str
    metrics: list[Metric]
