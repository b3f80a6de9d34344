"""``/v1/jobs/{job}/report`` and ``/results``: what a job found."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from jobs.api.base import ApiView, answer, now
from jobs.api.operation import Answer, Operation
from jobs.api.query import Choice
from jobs.api.streams import CUT, in_pieces
from jobs.queries.lookup import find_job
from jobs.queries.rendering.html import POLICY, render_html
from jobs.queries.rendering.markdown import render_markdown
from jobs.queries.report import report_document
from jobs.queries.results import result_lines
from jobs.states import job_name

CUT_LINE = msgspec.json.encode({"error": {"code": "unavailable", "message": CUT}}) + b"\n"
FORMATS = ("json", "markdown", "html")


class ReportView(ApiView):
    """The report: what is there so far (`complete` false) while the job runs."""

    scope = "tenant"
    operations: ClassVar = {
        "get": Operation(
            "Read a job's report",
            (
                Answer(
                    shape="Report", media_types=("application/json", "text/markdown", "text/html")
                ),
            ),
            {"format": Choice(FORMATS, "json")},
        ),
    }

    def get(self, request: Request, job: str) -> HttpResponse:
        """Answer the report in the asked format."""
        report = report_document(find_job(job, self.actor, private=True), now=now())
        if self.query["format"] == "markdown":
            text = render_markdown(report)
            return HttpResponse(text, content_type="text/markdown; charset=utf-8")
        if self.query["format"] == "html":
            page = HttpResponse(render_html(report), content_type="text/html; charset=utf-8")
            page["Content-Security-Policy"] = POLICY
            page["X-Content-Type-Options"] = "nosniff"
            return page
        return answer(report)


class ResultsView(ApiView):
    """Results as JSON lines in input order: `{task, name, kind, status, result, error}`."""

    scope = "tenant"
    operations: ClassVar = {
        "get": Operation(
            "Stream a job's results",
            (Answer(media_types=("application/x-ndjson",), headers=("Content-Disposition",)),),
        ),
    }

    def get(self, request: Request, job: str) -> HttpResponseBase:
        """Stream the results; nothing is held in memory but one page."""
        found = find_job(job, self.actor, private=True)
        response = in_pieces(
            result_lines(found), "application/x-ndjson; charset=utf-8", cut=CUT_LINE
        )
        name = f"{job_name(found.pk)}-results.jsonl"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response
