"""What the pages of tenants, policies, endpoints and pools say, and what they cost."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import Tenant
from jobs.models import ModelEndpoint, Policy
from jobs.planner.declarations import TenantSettings
from jobs.policies.policy import PolicySpec
from tests.integration.console import found, operator, page, staff
from tests.integration.scenario import register, submit_echo
from tests.integration.test_console_declared import PAGES, make
from tests.integration.tokens import make_token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]


@pytest.fixture
def console():
    return operator()


def test_a_tenants_page_shows_what_it_has_now(console):
    submit_echo(5, owner="acme", budget={"limit_usd": 2.5})
    register().claim(2)
    make("tenants", name="acme", spec=TenantSettings(weight=250, max_running_tasks=16))
    make_token("acme-ci", "tenant:acme")
    shown = re.sub(r"<[^>]+>", " ", page(console, "/admin/access/tenant/acme/"))
    shown = re.sub(r"\s+", " ", shown)
    for word in ("Running 2 of 16 in each pool", "$2.50 by 1 open job", "acme-ci", "Share 2.50"):
        assert word in shown
    assert "100 % due" in shown
    listed = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page(console, PAGES["tenants"])))
    assert "2 of 16 a pool" in listed
    assert "2.50 · 100" in listed


def test_tokens_are_on_a_tenants_page_for_who_may_see_them():
    Tenant.objects.create(name="acme")
    make_token("acme-ci", "tenant:acme")
    assert "acme-ci" not in page(staff("access.view_tenant"), "/admin/access/tenant/acme/")


def test_jobs_are_on_a_tenants_page_for_who_may_see_them():
    job = submit_echo(1, owner="acme")
    assert f">job-{job.pk}<" in page(operator(), "/admin/access/tenant/acme/")
    viewer = staff("access.view_tenant")
    assert f">job-{job.pk}<" not in page(viewer, "/admin/access/tenant/acme/")


def test_a_policys_page_shows_what_each_revision_changed(console):
    make("policies")
    make("policies", spec=PolicySpec(limit_usd=2.5))
    submit_echo(1, policy="thing")
    shown = page(console, "/admin/jobs/policy/thing/")
    assert re.search(r'class="was">\$10\.00.*class="now">\$2\.50', shown, re.DOTALL)
    assert "1 open job" in shown
    assert Policy.objects.values_list("current__number", flat=True).get(name="thing") == 2


def test_a_policy_of_a_pool_that_is_not_there_leads_nowhere(console):
    make("policies", spec=PolicySpec(pool="moon"))
    shown = page(console, "/admin/jobs/policy/")
    assert "moon, not there yet" in shown
    assert "/admin/jobs/pool/moon/" not in shown


def test_a_pool_that_agents_of_one_tenant_share_with_others_is_pointed_out(console):
    register(owner="acme")
    assert "pool of their own" not in page(console, "/admin/jobs/pool/default/")
    register()
    assert "pool of their own" in page(console, "/admin/jobs/pool/default/")


def test_an_endpoints_page_says_how_many_agents_reach_each_model(console):
    register(models=("minilm-l6-v2",))
    shown = page(console, "/admin/jobs/modelendpoint/embedded-embedding/")
    assert re.search(r"minilm-l6-v2</td><td[^>]*>1 agent<", shown)
    assert "no agent" in page(console, "/admin/jobs/modelendpoint/embedded-chat/")


def test_tenants_come_in_pages(console):
    for number in range(52):
        Tenant.objects.create(name=f"t-{number:02}")
    first = page(console, PAGES["tenants"])
    assert ">t-51</a>" not in first
    following = found(r'href="(\?after=[\w-]+)"', first)
    assert ">t-51</a>" in page(console, PAGES["tenants"] + following)


@pytest.mark.parametrize(
    "address",
    [
        "/admin/access/tenant/",
        "/admin/access/tenant/tenant-0/",
        "/admin/jobs/policy/",
        "/admin/jobs/policy/enterprise-default/",
        "/admin/jobs/modelendpoint/",
        "/admin/jobs/modelendpoint/embedded-chat/",
        "/admin/jobs/pool/",
        "/admin/jobs/pool/default/",
    ],
)
def test_a_page_costs_as_many_statements_with_30_of_everything_as_with_one(console, address):
    def grow(first, last):
        for number in range(first, last):
            make("policies", f"policy-{number}")
            make("policies", "enterprise-default", PolicySpec(max_tasks=number + 1))
            make("endpoints", f"endpoint-{number}")
            make("pools", f"pool-{number}")
            submit_echo(1, owner=f"tenant-{number}")
            submit_echo(1, owner="tenant-0")
            register()
            make_token(f"token-{number}", "tenant:tenant-0")

    def cost():
        page(console, address)
        with CaptureQueriesContext(connection) as asked:
            page(console, address)
        return len(asked)

    grow(0, 1)
    with_one = cost()
    grow(1, 30)
    assert cost() == with_one
    assert ModelEndpoint.objects.count() > 30
