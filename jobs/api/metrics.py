"""``/v1/metrics``: the fabric's figures, for programs as JSON and for Prometheus as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from rest_framework.request import Request

from jobs.api.base import ApiView, answer, now
from jobs.api.operation import Answer, Operation
from jobs.queries.formats import moment
from jobs.queries.metrics import scrape

PROBLEMS: Final = (400, 401, 403, 503)


class MetricsView(ApiView):
    """The same figures from whichever gateway is asked: they are the whole fabric's."""

    scope = "metrics"
    operations: ClassVar = {
        "get": Operation("Read the figures", (Answer(shape="Metrics"),), problems=PROBLEMS)
    }

    def get(self, request: Request) -> HttpResponse:
        """Answer every metric with its samples."""
        families = scrape().families
        return answer({"as_of": moment(now()), "metrics": [_document(each) for each in families]})


class PrometheusView(ApiView):
    """The same figures in Prometheus' text format, version 0.0.4."""

    scope = "metrics"
    operations: ClassVar = {
        "get": Operation(
            "Read the figures as Prometheus does",
            (Answer(media_types=("text/plain",)),),
            problems=PROBLEMS,
        )
    }

    def get(self, request: Request) -> HttpResponse:
        """Answer the text."""
        return HttpResponse(generate_latest(scrape()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _document(family: Metric) -> dict[str, Any]:
    suffix = "_total" if family.type == "counter" else ""
    samples = _histograms(family.samples) if family.type == "histogram" else _values(family.samples)
    return {
        "name": family.name + suffix,
        "type": family.type,
        "help": family.documentation,
        "samples": list(samples),
    }


def _values(samples: Iterable[Sample]) -> Iterable[dict[str, Any]]:
    return ({"labels": sample.labels, "value": sample.value} for sample in samples)


def _histograms(samples: Iterable[Sample]) -> Iterable[dict[str, Any]]:
    """One document per set of labels, its edges with how many observations reach no further."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        document = found.setdefault(
            tuple(sorted(labels.items())), {"labels": labels, "count": 0, "sum": 0.0, "buckets": []}
        )
        if "le" in sample.labels:
            bucket = {"le": sample.labels["le"], "count": int(sample.value)}
            document["buckets"].append(bucket)
        elif sample.name.endswith("_count"):
            document["count"] = int(sample.value)
        else:
            document["sum"] = sample.value
    return found.values()
