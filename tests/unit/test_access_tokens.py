"""Tokens from the environment: what is accepted, what is refused and how."""

import hashlib

import pytest
from django.core.exceptions import ImproperlyConfigured

from access.tokens import identify, parse_tokens


def test_an_entry_is_split_at_its_first_colon_only():
    credentials = parse_tokens("secret:tenant:acme|metrics")
    assert credentials[0].actor.scopes == {"tenant:acme", "metrics"}


def test_several_entries_are_separated_by_commas():
    credentials = parse_tokens("one:operator, two:tenant:*")
    assert [credential.actor.scopes for credential in credentials] == [{"operator"}, {"tenant:*"}]


def test_no_text_means_no_tokens():
    assert parse_tokens("") == parse_tokens("  ") == ()


def test_an_actor_is_named_after_the_digest_of_its_token():
    (credential,) = parse_tokens("secret:operator")
    assert credential.actor.name == "token-" + hashlib.sha256(b"secret").hexdigest()[:8]


@pytest.mark.parametrize(
    "entry",
    [
        "sesame",
        "sesame:",
        ":operator",
        "sesame:admin",
        "sesame:tenant:",
        "sesame:tenant:UPPER",
        "sesame:tenant:-a",
        "ses ame:operator",
        "sésame:operator",
        "sesame:operator|",
        "good:operator,,",
        "s" * 513 + ":operator",
    ],
)
def test_nonsense_is_refused_by_position_and_never_shows_the_token(entry):
    with pytest.raises(ImproperlyConfigured) as refusal:
        parse_tokens(f"first:operator,{entry}")
    assert "DAEF_API_TOKENS: entry " in str(refusal.value)
    assert "sesame" not in str(refusal.value).replace("scope", "")


def test_a_repeated_token_is_refused():
    with pytest.raises(ImproperlyConfigured, match="entry 2 repeats"):
        parse_tokens("one:operator,one:metrics")


def test_a_token_is_found_among_others():
    credentials = parse_tokens("one:operator,two:metrics")
    found = identify("two", credentials)
    assert found is not None
    assert found.scopes == {"metrics"}


@pytest.mark.parametrize("token", ["", "on", "one ", "ONE", "öne", "\ud800", "one:operator"])
def test_what_is_not_exactly_a_token_is_nobody(token):
    assert identify(token, parse_tokens("one:operator")) is None
