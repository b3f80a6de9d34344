"""``manage.py create_token``, ``revoke_token``, ``list_tokens`` and ``create_tenant``."""

import io
import json
import os
import pwd
import re

import pytest
from django.core.management import CommandError, call_command

from access.models import ApiToken
from access.token_text import is_intact
from audit.models import AuditEntry
from tests.integration.gateway import Gateway
from tests.integration.tokens import make_token

pytestmark = pytest.mark.django_db


def run(name, *arguments):
    """What the command prints, and what it says besides."""
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused(name, *arguments):
    """What the command says when it refuses; its exit status has to be 2."""
    with pytest.raises(CommandError) as raised:
        run(name, *arguments)
    assert raised.value.returncode in (1, 2)
    return raised.value


def test_a_new_token_stands_alone_on_standard_output_and_is_good():
    out, err = run("create_token", "ci", "--scope", "tenant:acme", "--expires-in", "90d")
    assert is_intact(out.removesuffix("\n"))
    assert "ci (tenant:acme), good until 20" in err
    assert "shown once" in err
    assert Gateway(out.strip()).get("/v1/jobs").status_code == 200


def test_a_new_token_as_json_brings_its_row():
    made = json.loads(run("create_token", "ci", "--scope=metrics", "--scope=operator", "--json")[0])
    assert is_intact(made["token"])
    assert made["scopes"] == ["metrics", "operator"]
    assert (made["state"], made["expires_at"], made["last_used_at"]) == ("active", None, None)
    assert "digest" not in made


def test_a_tenant_that_is_not_there_yet_is_pointed_out():
    assert "no tenant acmee yet" in run("create_token", "ci", "--scope=tenant:acmee")[1]
    run("create_tenant", "acme")
    assert "no tenant" not in run("create_token", "ci-2", "--scope=tenant:acme")[1]


def test_who_ran_the_command_is_who_the_system_says(monkeypatch):
    monkeypatch.setenv("LOGNAME", "mallory")
    run("create_token", "ci", "--scope=metrics", "--reason", "for the board")
    entry = AuditEntry.objects.get()
    assert entry.actor == f"shell:{pwd.getpwuid(os.geteuid()).pw_name}"
    assert (entry.door, entry.reason) == ("command", "for the board")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["CI", "--scope=metrics"], "name: use 1 to 63 small letters"),
        (["ci"], "scopes: name 1 to 50 of: metrics, operator"),
        (["ci", "--scope=admin"], "scopes: 'admin' is no scope; known: metrics"),
        (["ci", "--scope=metrics", "--expires-at=2001-01-01"], "expires_at: has passed"),
        (["ci", "--scope=metrics", "--requests-per-minute=0"], "requests_per_minute: use a whole"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_remedy(arguments, remedy):
    error = refused("create_token", *arguments)
    assert str(error).startswith(remedy)
    assert error.returncode == 2
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("--expires-in=soon", "for example 12h or 90d"),
        ("--expires-in=0d", "for example 12h or 90d"),
        ("--expires-at=tomorrow", "use a time like 2026"),
        ("--requests-per-minute=many", "invalid int value"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused_with_its_form(option, remedy):
    assert remedy in str(refused("create_token", "ci", "--scope=metrics", option))


@pytest.mark.parametrize(("span", "seconds"), [("30m", 1800), ("12h", 43_200), ("2w", 1_209_600)])
def test_a_token_expires_after_the_span_that_was_asked_for(span, seconds):
    run("create_token", "ci", "--scope=metrics", f"--expires-in={span}")
    made, end = ApiToken.objects.values_list("created_at", "expires_at").get()
    assert end is not None
    assert (end - made).total_seconds() == seconds


def test_a_revoked_token_is_good_no_more():
    token = make_token("ci", "tenant:acme")
    assert run("revoke_token", "ci")[0].startswith("ci is revoked since 20")
    assert Gateway(token).get("/v1/jobs").status_code == 401
    assert json.loads(run("revoke_token", "ci", "--json")[0])["state"] == "revoked"


def test_an_unknown_token_is_refused_with_the_way_to_find_it():
    error = refused("revoke_token", "nobody")
    assert "list_tokens" in str(error)
    assert error.returncode == 2


def test_the_list_shows_each_token_and_none_of_their_secrets():
    assert "create_token --help" in run("list_tokens")[0]
    token = make_token("ci", "tenant:acme")
    line = run("list_tokens")[0]
    assert re.search(r"^ci +daef_\w{6}… +active +never used +tenant:acme$", line, re.MULTILINE)
    listed = run("list_tokens", "--json")[0]
    assert json.loads(listed)["total"] == 1
    assert token[11:] not in listed


def test_a_tenant_is_made_once():
    assert run("create_tenant", "acme", "--weight=200")[0] == "made the tenant acme\n"
    assert "already" in str(refused("create_tenant", "acme"))
    made = json.loads(run("create_tenant", "globex", "--max-running-tasks=5", "--json")[0])
    assert (made["name"], made["weight"], made["max_running_tasks"]) == ("globex", 100, 5)


@pytest.mark.parametrize("name", ["create_token", "revoke_token", "list_tokens", "create_tenant"])
def test_the_help_of_each_command_explains_it(name, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command(name, "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert len(text.split()) > 60
