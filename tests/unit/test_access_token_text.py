"""How a token is written: recognisable, long, and with a checksum that finds typing errors."""

import string

import pytest

from access.token_text import (
    ALPHABET,
    RANDOM_CHARACTERS,
    SHOWN_CHARACTERS,
    checksum,
    is_intact,
    new_token,
    shown_part,
)
from access.tokens import well_formed


def test_a_token_can_stand_in_a_header_and_is_recognised():
    token = new_token()
    assert token.startswith("daef_")
    assert well_formed(token)
    assert is_intact(token)


def test_no_token_is_made_twice():
    assert len({new_token() for _ in range(1000)}) == 1000


def test_a_token_keeps_128_bits_for_itself_even_where_its_beginning_is_known():
    hidden = RANDOM_CHARACTERS - (SHOWN_CHARACTERS - len("daef_"))
    assert len(set(ALPHABET)) ** hidden >= 2**128
    assert shown_part(new_token()).startswith("daef_")


def test_all_letters_and_digits_are_used():
    assert set("".join(new_token()[5:] for _ in range(500))) == set(
        string.ascii_letters + string.digits
    )


def test_the_checksum_is_the_same_everywhere():
    # CRC-32 as gzip has it of this text: 0x98beb2d1.
    assert checksum("daef_" + "0" * 30) == "2nQYHh"


def test_every_typing_error_of_one_character_is_found():
    token = new_token()
    for place in range(len(token)):
        for letter in "0aZ_-é":
            wrong = token[:place] + letter + token[place + 1 :]
            assert is_intact(wrong) == (wrong == token), wrong


def test_two_characters_that_changed_places_are_found():
    token = new_token()
    for place in range(len(token) - 1):
        a, b = token[place], token[place + 1]
        swapped = token[:place] + b + a + token[place + 2 :]
        assert is_intact(swapped) == (a == b)


@pytest.mark.parametrize("text", ["", "daef_", "daef", "daef_" + "0" * 36, "\udc80" * 41, "٣" * 41])
def test_what_is_no_token_is_not_intact(text):
    assert not is_intact(text)


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda t: t + "0", lambda t: t[1:]])
def test_a_token_is_taken_whole_and_as_it_is(change):
    assert not is_intact(change(new_token()))
