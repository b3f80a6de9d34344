"""What operators declare, in the console: a form, the difference, a reason, one action."""

import html
import json
import re
from typing import Any

import pytest

from access.actors import LOCAL_OPERATOR
from audit.models import AuditEntry
from jobs.actions.declare import Condition, declare, declared
from jobs.admin.declared_fields import FIELDS, form_of, spec_of
from jobs.planner.declarations import EndpointSettings, PoolSettings, TenantSettings
from jobs.policies.policy import PolicySpec
from tests.integration.console import found, operator, page, staff, text
from tests.integration.scenario import register, submit_echo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

PAGES = {
    "policies": "/admin/jobs/policy/",
    "endpoints": "/admin/jobs/modelendpoint/",
    "tenants": "/admin/access/tenant/",
    "pools": "/admin/jobs/pool/",
}
PERMISSIONS = {
    "policies": ("jobs.view_policy", "jobs.change_policy"),
    "endpoints": ("jobs.view_modelendpoint", "jobs.change_modelendpoint"),
    "tenants": ("access.view_tenant", "access.change_tenant"),
    "pools": ("jobs.view_pool", "jobs.change_pool"),
}
BEFORE: dict[str, Any] = {
    "policies": PolicySpec(limit_usd=10.0),
    "endpoints": EndpointSettings(
        backend="openai", model_names=["large"], base_url="https://models.example/v1"
    ),
    "tenants": TenantSettings(weight=100),
    "pools": PoolSettings(max_running_tasks=9),
}
CHANGES = {
    "policies": ({"limit_usd": "2.5"}, "limit_usd", 2.5),
    "endpoints": ({"input_price": "0.15"}, "input_price", 150_000),
    "tenants": ({"weight": "300"}, "weight", 300),
    "pools": ({"max_running_tasks": ""}, "max_running_tasks", None),
}
WRONG = [
    ("policies", {"limit_usd": "much"}, "limit_usd"),
    ("policies", {"limit_usd": "0"}, "limit_usd"),
    ("policies", {"max_tasks": ""}, "max_tasks"),
    ("policies", {"max_tasks": "999999999999999"}, "max_tasks"),
    ("policies", {"pool": "A B"}, "pool"),
    ("endpoints", {"base_url": "ftp://x"}, "base_url"),
    ("endpoints", {"model_names": " \n "}, "model_names"),
    ("endpoints", {"key_name": "a b"}, "key_name"),
    ("endpoints", {"input_price": "0.0000001"}, "input_price"),
    ("endpoints", {"backend": "telepathy"}, "backend"),
    ("tenants", {"weight": "0"}, "weight"),
    ("tenants", {"weight": "-5"}, "weight"),
    ("tenants", {"max_running_tasks": "1.5"}, "max_running_tasks"),
    ("pools", {"batch_bound_seconds": "1 h"}, "batch_bound_seconds"),
]
every_kind = pytest.mark.parametrize("kind", PAGES)


@pytest.fixture
def console():
    return operator()


def make(kind, name="thing", spec=None):
    declare(
        kind=kind,
        name=name,
        spec=spec or BEFORE[kind],
        condition=Condition(),
        actor=LOCAL_OPERATOR,
    )


def spec_now(kind) -> Any:
    """The settings of the thing."""
    thing = declared(kind, "thing")
    assert thing is not None
    return thing.spec


def filled(shown):
    """What the form of a page would send as it is."""
    sent: dict[str, list[str]] = {}
    form = found(r'(<form method="post" class="fields".*?</form>)', shown)
    for tag in re.findall(r"<input [^>]*>", form):
        field = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        ticked = field.get("type") != "checkbox" or re.search(r"\bchecked\b", tag)
        if "name" in field and ticked and field["name"] != "csrfmiddlewaretoken":
            sent.setdefault(field["name"], []).append(html.unescape(field.get("value", "")))
    for name, value in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>(.*?)</textarea>', form, re.S):
        sent[name] = [html.unescape(value)]
    for name, options in re.findall(r'<select [^>]*name="(\w+)"[^>]*>(.*?)</select>', form, re.S):
        sent[name] = re.findall(r"<option selected>([^<]*)", options)
    return sent


def edit(console, kind, name="thing", **changes):
    """Open the form, change some fields, send it."""
    address = f"{PAGES[kind]}{name}/edit/"
    sent = {**filled(page(console, address)), **changes}
    return address, sent, console.post(address, sent)


def confirm(console, address, sent, reason="OPS-2291"):
    return console.post(address, {**sent, "confirmed": "1", "reason": reason})


def entries():
    rows = AuditEntry.objects.order_by("number")
    return list(rows.values_list("action", "result", "target", "door", "reason"))[1:]


@every_kind
def test_the_form_shows_every_setting_of_a_put_and_says_the_same_again(kind):
    spec = BEFORE[kind]
    assert [one.name for one in FIELDS[kind]] != []
    assert {one.name for one in FIELDS[kind]} == set(spec.__struct_fields__)
    assert spec_of(form_of(kind, spec)) == spec


@every_kind
def test_an_object_is_changed_through_the_page_that_shows_the_difference(console, kind):
    make(kind)
    changes, field, value = CHANGES[kind]
    address, sent, asked = edit(console, kind, **changes)
    assert asked.status_code == 200
    assert text(asked).count('class="now"') == 1
    assert spec_now(kind) == BEFORE[kind]
    done = confirm(console, address, sent)
    assert done["Location"] == f"{PAGES[kind]}thing/"
    assert getattr(spec_now(kind), field) == value
    entry = AuditEntry.objects.latest("number")
    assert (entry.actor, entry.door, entry.reason) == ("user:operator", "console", "OPS-2291")
    assert json.loads(entry.details)["fields"] == field
    assert "is changed" in page(console, f"{PAGES[kind]}thing/")


@every_kind
def test_a_new_object_is_made_through_the_same_pages(console, kind):
    address = f"{PAGES[kind]}_new/"
    more = {"model_names": "large", "base_url": "https://h/v1"} if kind == "endpoints" else {}
    sent = {**filled(page(console, address)), "name": "fresh", **more}
    assert "Make fresh" in text(console.post(address, sent))
    assert declared(kind, "fresh") is None
    assert confirm(console, address, sent)["Location"] == f"{PAGES[kind]}fresh/"
    assert declared(kind, "fresh") is not None
    assert AuditEntry.objects.get().result == "ok"
    again = confirm(console, address, sent)
    assert again.status_code == 400
    assert "there is a" in text(again).lower()


@every_kind
def test_where_nothing_would_change_there_is_no_button(console, kind):
    make(kind)
    asked = edit(console, kind)[2]
    assert "nothing would change" in text(asked)
    assert 'name="reason"' not in text(asked)


@every_kind
def test_without_a_reason_nothing_is_changed(console, kind):
    make(kind)
    address, sent, _ = edit(console, kind, **CHANGES[kind][0])
    assert confirm(console, address, sent, reason="").status_code == 400
    assert spec_now(kind) == BEFORE[kind]


def test_what_somebody_changed_meanwhile_is_shown_and_not_undone(console):
    make("tenants")
    address, sent, _ = edit(console, "tenants", weight="300")
    make("tenants", spec=TenantSettings(weight=100, max_running_tasks=7))
    late = confirm(console, address, sent)
    assert late.status_code == 409
    assert "Somebody changed it" in text(late)
    assert "no limit" in text(late)
    assert spec_now("tenants").max_running_tasks == 7
    assert entries()[-1] == ("tenant_put", "refused", "thing", "console", "OPS-2291")
    state = found(r'name="state" value="([^"]+)"', text(late))
    done = confirm(console, address, {**sent, "state": html.unescape(state)})
    assert done.status_code == 302
    assert spec_now("tenants") == TenantSettings(weight=300)


def test_of_two_who_make_the_same_name_the_second_is_told(console, monkeypatch):
    address = "/admin/access/tenant/_new/"
    sent = {**filled(page(console, address)), "name": "thing", "confirmed": "1", "reason": "x"}
    real = declared

    def too_early(kind, name):
        monkeypatch.setattr("jobs.admin.declared_admin.declared", real)
        make("tenants")
        return

    monkeypatch.setattr("jobs.admin.declared_admin.declared", too_early)
    late = console.post(address, {**sent, "weight": "300"})
    assert late.status_code == 409
    assert spec_now("tenants") == TenantSettings()


@pytest.mark.parametrize(("kind", "changes", "field"), WRONG)
def test_what_cannot_be_used_is_said_beside_its_field(console, kind, changes, field):
    make(kind)
    answered = edit(console, kind, **changes)[2]
    assert answered.status_code == 400
    assert f'aria-describedby="{field}-help" aria-invalid="true"' in text(answered)
    assert html.escape(changes[field].strip()) in text(answered)
    assert spec_now(kind) == BEFORE[kind]


@every_kind
@pytest.mark.parametrize("name", ["", "-bad-", "a b", "x" * 64, "a\0b"])
def test_a_name_that_cannot_be_is_refused(console, kind, name):
    address = f"{PAGES[kind]}_new/"
    sent = {**filled(page(console, address)), "name": name, "confirmed": "1", "reason": "x"}
    answered = console.post(address, sent)
    assert answered.status_code == 400
    assert 'aria-describedby="name-help" aria-invalid="true"' in text(answered)


def test_a_null_character_is_refused(console):
    make("endpoints")
    answered = edit(console, "endpoints", location="a\0b")[2]
    assert answered.status_code == 400
    assert "NUL" in text(answered)


def test_the_form_can_be_changed_again_from_the_confirm_page(console):
    make("policies")
    address, sent, _ = edit(console, "policies", limit_usd="3")
    again = filled(text(console.post(address, {**sent, "back": "1", "confirmed": "1"})))
    assert again == {**sent, "limit_usd": ["3"]}


@every_kind
def test_what_is_not_there_cannot_be_changed(console, kind):
    for name in ("nobody", "-bad-", "_new"):
        assert console.get(f"{PAGES[kind]}{name}/edit/").status_code == 404
    assert console.get(f"{PAGES[kind]}nobody/").status_code == 404


@every_kind
def test_who_may_only_look_has_no_buttons_and_is_refused(kind):
    make(kind)
    viewer = staff(PERMISSIONS[kind][0])
    assert "/edit/" not in page(viewer, f"{PAGES[kind]}thing/")
    assert "/_new/" not in page(viewer, PAGES[kind])
    for address in (f"{PAGES[kind]}thing/edit/", f"{PAGES[kind]}_new/"):
        assert viewer.get(address).status_code == 403
        assert confirm(viewer, address, {"name": "x"}).status_code == 403
    changer = staff(PERMISSIONS[kind][1], name="sue")
    assert changer.get(f"{PAGES[kind]}thing/edit/").status_code == 403


@every_kind
def test_a_forged_form_changes_nothing(console, kind):
    make(kind)
    address, sent, _ = edit(console, kind, **CHANGES[kind][0])
    console.handler.enforce_csrf_checks = True
    assert confirm(console, address, sent).status_code == 403
    assert spec_now(kind) == BEFORE[kind]


def test_what_was_declared_is_escaped(console):
    evil = "<script>alert(1)</script>"
    make("endpoints", spec=EndpointSettings(backend="embedded", model_names=[evil], location=evil))
    for address in ("", "thing/", "thing/edit/"):
        assert evil not in page(console, f"{PAGES['endpoints']}{address}")


def test_the_name_of_a_key_is_shown_and_where_the_key_is(console, monkeypatch):
    monkeypatch.setenv("DAEF_MODEL_KEY_VLLM", "sk-very-secret")
    spec = EndpointSettings(
        backend="openai", model_names=["m"], base_url="https://h/", key_name="VLLM"
    )
    make("endpoints", spec=spec)
    for address in ("", "thing/", "thing/edit/"):
        assert "sk-very-secret" not in page(console, f"{PAGES['endpoints']}{address}")
    assert "never sent to DAEF" in page(console, f"{PAGES['endpoints']}thing/")


# ── what the confirm page warns of ────────────────────────────────────────────────────────────────


def test_the_last_endpoint_of_a_model_is_not_switched_off_unawares(console):
    make("endpoints")
    sent = {**filled(page(console, "/admin/jobs/modelendpoint/thing/edit/"))}
    del sent["enabled"]
    asked = console.post("/admin/jobs/modelendpoint/thing/edit/", sent)
    assert "No other endpoint serves large" in text(asked)
    make("endpoints", name="other")
    assert "No other endpoint" not in text(
        console.post("/admin/jobs/modelendpoint/thing/edit/", sent)
    )


def test_a_limit_below_what_runs_is_pointed_out(console):
    submit_echo(3, owner="thing")
    register().claim(3)
    make("tenants")
    for kind, name in (("tenants", "thing"), ("pools", "default")):
        asked = edit(console, kind, name, max_running_tasks="2")[2]
        assert re.search(r"3 (of its )?tasks run", text(asked)), kind
        asked = edit(console, kind, name, max_running_tasks="3")[2]
        assert "none is stopped" not in text(asked)


def test_a_policy_for_a_pool_that_is_not_there_is_pointed_out(console):
    make("policies")
    assert "no pool moon yet" in text(edit(console, "policies", pool="moon")[2])
