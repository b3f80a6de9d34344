"""No regular expression of ours takes more than time in proportion to the text it looks at.

Two shapes do not: a repeat within a repeat, which tries every way to share the text out, and a
search for a pattern that begins with a repeat and goes on with something else, which walks to the
end of a long word from each of its letters. Both are looked for in the parsed patterns.
"""

import ast
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from re import _constants as constants  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]

from jobs.policies import causes
from tests.architecture.source import parsed, product_files, shown
from workeragent.executors import words

MANY = 64
"""A repeat up to this often is none: its cost has a bound."""

REVIEWED = {
    "(a+)+b": "an executor of the tests, which is to hang",
    r"(?P<problem>.*) - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`": "matched in full only",
    "[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+": "matched in full only, on 100 characters",
}
"""Patterns of one of the shapes, each with the reason why it is harmless where it is used."""

REPEATS = {constants.MAX_REPEAT, constants.MIN_REPEAT}
ANCHORS = {constants.AT, constants.ASSERT, constants.ASSERT_NOT}


def patterns() -> Iterator[tuple[str, Any]]:
    """Every pattern that is written out in a call of `re`."""
    for path in product_files():
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("re")), args=[ast.Constant(pattern), *_]
                ):
                    yield shown(path, node.lineno), pattern


def is_long(operation: Any, argument: Any) -> bool:
    return operation in REPEATS and (argument[1] is constants.MAXREPEAT or argument[1] > MANY)


def parts_of(operation: Any, argument: Any) -> list[Any]:
    """What is inside an element of a parsed pattern."""
    if operation in REPEATS:
        return [argument[2]]
    if operation is constants.SUBPATTERN:
        return [argument[3]]
    if operation is constants.BRANCH:
        return list(argument[1])
    return [argument[1]] if operation in ANCHORS - {constants.AT} else []


def repeats_within(items: Any, *, inside: bool = False) -> bool:
    """Whether a long repeat is inside another."""
    for operation, argument in items:
        long = is_long(operation, argument)
        if long and inside:
            return True
        if any(
            repeats_within(part, inside=inside or long) for part in parts_of(operation, argument)
        ):
            return True
    return False


def begins_with_a_repeat(items: Any) -> bool:
    """Whether a way through the pattern begins with a long repeat and has to go on after it."""
    items = list(items)
    if not items or items[0][0] in ANCHORS:
        return False
    operation, argument = items[0]
    if operation is constants.SUBPATTERN:
        return begins_with_a_repeat([*argument[3], *items[1:]])
    if operation is constants.BRANCH:
        return any(begins_with_a_repeat([*way, *items[1:]]) for way in argument[1])
    return is_long(operation, argument) and any(needs_text(*item) for item in items[1:])


def needs_text(operation: Any, argument: Any) -> bool:
    return not (operation in REPEATS and argument[0] == 0)


def is_slow(pattern: Any) -> bool:
    items = parser.parse(pattern)
    return repeats_within(items) or begins_with_a_repeat(items)


@pytest.mark.parametrize("pattern", ["(a+)+b", r"\S+@\S+", r"x|\w+://", "(?:a*b)*c", "([ab]+c)d"])
def test_the_shapes_are_recognised(pattern):
    assert is_slow(pattern)


@pytest.mark.parametrize(
    "pattern", [r"(?<!\S)\S+@\S+", r"\bx+y", "^a+b", "[a-z]+", "a{1,9}b+", "xa+b"]
)
def test_what_is_quick_is_not_taken_for_slow(pattern):
    assert not is_slow(pattern)


def test_no_pattern_takes_more_time_than_its_text_is_long():
    found = dict(patterns())
    assert len(found) > 30
    slow = {where: pattern for where, pattern in patterns() if is_slow(pattern)}
    assert {where: one for where, one in slow.items() if one not in REVIEWED} == {}
    assert set(REVIEWED) <= set(slow.values()), "reviewed, but not there any more"


ENDLESS = ["a" * 1_000_000, "s" * 1_000_000, "a:" * 500_000, "é@" * 500_000, "www." * 250_000]


@pytest.mark.parametrize("text", ENDLESS, ids=lambda text: text[:2])
def test_a_word_without_end_is_read_in_one_go(text):
    assert not any(len(word) > 50 for word in words.content_words(text))
    assert causes.pattern(text)
