"""Titles: what of a model's answer may stand, and what stands in for it."""

import pytest

from workeragent.executors.cluster.keywords import describe_groups
from workeragent.executors.label import INSTRUCTION, prompt
from workeragent.executors.label.titles import clean_title, readable_title, reason_against
from workeragent.executors.words import content_words, stem, stems

TEXTS = [
    "Why was I charged a fee for withdrawing cash?",
    "I was charged for a cash withdrawal, why?",
    "There is a fee on my withdrawal of cash.",
    "The withdrawal fee is too high",
]
OTHERS = ["Where is my parcel?", "My parcel did not come", "parcel is late", "no parcel yet"]


def reason(title: str) -> str:
    wording = describe_groups([TEXTS, OTHERS])[0]
    return reason_against(
        clean_title(title),
        vocabulary=wording.vocabulary,
        keywords=wording.keywords,
        prompt_words=stems(INSTRUCTION),
    )


@pytest.mark.parametrize(
    "title", ["Cash withdrawal fees", "Charged for withdrawals", "Fee charged on cash withdrawing"]
)
def test_a_title_in_the_documents_own_words_stands(title):
    assert reason(title) == ""


@pytest.mark.parametrize(
    "title",
    [
        "",
        "   \n- \n",
        "of the and",
        "Password reset problem",
        "I'm sorry, I cannot help with cash",
        "Short titles for messages",
        "fee fee fee fee",
        "A cash withdrawal fee that was charged " * 4,
        "ÿþ\x00 zzqx 9931",
        "你好",
        "I was there",
        "Cash withdrawal again again",
        "Too high",
    ],
)
def test_anything_else_does_not(title):
    assert reason(title) != ""


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ('"Cash fees."', "Cash fees"),
        ("Title: cash fees\nBecause …", "Cash fees"),
        ("\n- **Cash fees**", "Cash fees"),
        ("Why a fee?", "Why a fee?"),
    ],
)
def test_a_title_is_freed_of_its_wrapping(said, title):
    assert clean_title(said) == title


def test_without_a_model_the_keywords_are_the_title_and_never_a_customers_sentence():
    title = readable_title(["withdrawal", "fee", "cash"], ["Hello there my friends.", *TEXTS])
    assert title == "Withdrawal, fee and cash"


@pytest.mark.parametrize(
    ("keywords", "examples", "title"),
    [
        (["fee", "cash", "atm"], [], "Fee, cash and atm"),
        (["fee"], ["fee 4711 0815 is mine alone"], "Fee"),
        ([], ["?!"], "?!"),
        ([], [], "Documents without words"),
    ],
)
def test_there_is_always_some_title(keywords, examples, title):
    assert readable_title(keywords, examples) == title


@pytest.mark.parametrize(
    "forms",
    [
        ("verify", "verified", "verifying", "verification"),
        ("charge", "charged", "charges", "charging"),
        ("cancel", "cancelled", "cancelling", "cancellation"),
        ("transfer", "transfers", "transferred"),
    ],
)
def test_forms_of_a_word_share_their_stem(forms):
    assert len({stem(form) for form in forms}) == 1


def test_addresses_numbers_and_courtesies_are_no_content():
    text = "Hello, please write to ann@example.org or https://x.org/cash, card 4111a"
    assert content_words(text) == ["write", "card"]


def test_keywords_tell_a_group_from_the_others():
    wordings = describe_groups([TEXTS, OTHERS])
    assert set(wordings[0].keywords[:3]) == {"withdrawal", "fee", "cash"}
    assert wordings[1].keywords[0] == "parcel"


def test_texts_without_words_have_no_keywords():
    assert describe_groups([["", "??", "🙂"]])[0].keywords == ()


def test_of_a_long_letter_the_prompt_shows_what_it_is_about():
    letter = (
        "Dear team, how are you today? " * 6 + "The printer jams. " + "Kind regards to all. " * 4
    )
    assert "printer" in prompt([letter], ["printer", "jam"])[-1]["content"]


def test_the_prompt_stays_short_whatever_the_texts():
    characters = sum(
        len(message["content"]) for message in prompt(["word " * 900, "other " * 900], ["word"])
    )
    assert characters < 600
