"""No address is served that the OpenAPI document does not show, and none is shown but served."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, get_resolver

from tests.architecture.source import ROOT

NOT_SHOWN = {
    "/v1/openapi.json": "the document itself",
    "/v1/docs": "a page about it",
    "/v1/": "the answer to every other address",
}
CONSOLE = "/admin/"
"""Pages for people."""

VERBS = ("get", "post", "put", "patch", "delete")


def served(patterns: Any = None, before: str = "/") -> Iterator[tuple[str, Any]]:
    """Each address and what answers it, as the document would write it."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        address = before + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLPattern):
            yield address, pattern.callback
        elif not address.startswith(CONSOLE):
            yield from served(pattern.url_patterns, address)


def document() -> dict[str, Any]:
    text = (ROOT / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8")
    paths: dict[str, Any] = json.loads(text)["paths"]
    return paths


def test_the_addresses_that_are_served_are_those_that_are_documented():
    addresses = [address for address, _ in served()]
    assert len(addresses) == len(set(addresses))
    assert set(NOT_SHOWN) <= set(addresses)
    assert set(addresses) - set(NOT_SHOWN) == set(document())


def test_the_methods_that_are_served_are_those_that_are_documented():
    shown = {address: set(methods) for address, methods in document().items()}
    answered = {
        address: {verb for verb in VERBS if hasattr(callback.cls, verb)}
        for address, callback in served()
        if address not in NOT_SHOWN
    }
    assert answered == shown


def test_every_operation_is_described():
    for address, methods in document().items():
        for method, operation in methods.items():
            assert operation["summary"], (method, address)
            assert operation["description"], (method, address)
            assert operation["x-daef-scope"] in ("tenant", "operator", "metrics", "public")
