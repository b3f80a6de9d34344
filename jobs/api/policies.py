"""``/v1/policies``: what jobs may use and spend."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from rest_framework.request import Request

from jobs.api.base import ApiView, answer
from jobs.api.operation import Answer, Operation
from jobs.api.query import PAGE
from jobs.queries.policies import list_policies, policy_document


class PoliciesView(ApiView):
    """The policies that jobs may name."""

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {"get": Operation("List policies", (Answer(shape="PolicyList"),), PAGE)}

    def get(self, request: Request) -> HttpResponse:
        """List policies."""
        return self.answer_page(list_policies(**self.query))


class PolicyView(ApiView):
    """One policy in its current revision."""

    scope = "tenant"
    operators_read = True
    operations: ClassVar = {"get": Operation("Look at a policy", (Answer(shape="Policy"),))}

    def get(self, request: Request, name: str) -> HttpResponse:
        """Answer the policy."""
        return answer(policy_document(name))
