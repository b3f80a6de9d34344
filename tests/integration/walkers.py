"""Somebody who walks through the console: by Django's client, and in a browser where one is found.

Both know the same few moves: open an address, follow a link, fill a field, press a button, save a
file, read what is shown. Nothing they do needs a script on the page.
"""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin, urlsplit

from django.test import Client

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MILLISECONDS = 90_000
VOID = {"input", "br", "img", "meta", "link", "hr", "path", "rect", "circle"}


class Walker(Protocol):
    """What a person does."""

    def open(self, address: str) -> None:
        """Go to an address."""

    def follow(self, text: str) -> None:
        """Follow the first link that shows this text."""

    def fill(self, name: str, value: str) -> None:
        """Write into the field of this name."""

    def press(self, text: str) -> None:
        """Press the first button that shows this text."""

    def save(self, text: str) -> bytes:
        """Save the file behind the link that shows this text."""

    def shown(self) -> str:
        """What is read on the page, blanks as one."""


def found_browser() -> str | None:
    """Where a Chromium is on this machine."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class ClientWalker:
    """Reads the HTML as a browser without a script would, and sends its forms."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._address = "/"
        self._page = Page("")
        self._filled: dict[str, str] = {}

    def open(self, address: str) -> None:
        """Go to an address."""
        self._take(self._client.get(address, follow=True), address)

    def follow(self, text: str) -> None:
        """Follow the first link that shows this text."""
        self.open(self._link(text))

    def fill(self, name: str, value: str) -> None:
        """Write into the field of this name."""
        assert any(name in form.names for form in self._page.forms), f"no field {name}"
        self._filled[name] = value

    def press(self, text: str) -> None:
        """Press the first button that shows this text."""
        form, button = next(
            (form, button)
            for form in self._page.forms
            for button in form.buttons
            if text in button.text
        )
        fields = [(name, self._filled.get(name, value)) for name, value in form.fields]
        if button.name:
            fields.append((button.name, button.value))
        address = urljoin(self._address, form.action)
        body = urlencode(fields)
        if form.method != "post":
            self.open(f"{address}?{body}")
            return
        kind = "application/x-www-form-urlencoded"
        answer = self._client.post(address, body, content_type=kind, follow=True)
        self._take(answer, address)

    def save(self, text: str) -> bytes:
        """Save the file behind the link that shows this text."""
        return b"".join(self._client.get(self._link(text)))

    def shown(self) -> str:
        """What is read on the page, blanks as one."""
        return self._page.text

    def _link(self, text: str) -> str:
        found = [href for href, shown in self._page.links if text in shown]
        assert found, f"no link {text!r} on {self._address}"
        return urljoin(self._address, found[0])

    def _take(self, answer: Any, address: str) -> None:
        assert answer.status_code == 200, (address, answer.status_code)
        chain = getattr(answer, "redirect_chain", [])
        last = urljoin(address, chain[-1][0]) if chain else address
        parts = urlsplit(last)
        self._address = parts.path + (f"?{parts.query}" if parts.query else "")
        self._page = Page(answer.content.decode())
        self._filled = {}


class Form:
    """A form: where it goes, what it sends."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.action = attributes.get("action", "")
        self.method = attributes.get("method", "get").lower()
        self.fields: list[tuple[str, str]] = []
        self.buttons: list[Button] = []

    @property
    def names(self) -> set[str]:
        """The names of its fields."""
        return {name for name, _ in self.fields}


class Button:
    """What sends a form."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.name = attributes.get("name", "")
        self.value = attributes.get("value", "")
        self.text = ""


class Page(HTMLParser):
    """A page's forms, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self._form: Form | None = None
        self._open: list[tuple[str, Any]] = []
        self._words: list[str] = []
        self._unread = 0
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self._words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, fields, links and buttons."""
        attributes = {name: value or "" for name, value in attrs}
        if tag in ("script", "style", "noscript", "template"):
            self._unread += 1
        elif tag == "form":
            self._form = Form(attributes)
            self.forms.append(self._form)
        elif tag == "a":
            self._open.append((tag, [attributes.get("href", ""), ""]))
        elif (self._form is not None and "name" in attributes) or tag == "button":
            self._field(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        if tag in ("script", "style", "noscript", "template"):
            self._unread -= 1
        elif tag == "form":
            self._form = None
        elif self._open and self._open[-1][0] == tag:
            closed = self._open.pop()[1]
            if tag == "a":
                self.links.append((closed[0], closed[1]))

    def handle_data(self, data: str) -> None:
        """Read text, into the link or button it stands in as well."""
        if self._unread:
            return
        self._words.append(data)
        for tag, it in self._open:
            if tag == "a":
                it[1] += data
            else:
                it.text += data

    def _field(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "button":
            button = Button(attributes)
            self._open.append((tag, button))
            if self._form is not None and attributes.get("type", "submit") == "submit":
                self._form.buttons.append(button)
        elif self._form is not None and tag in ("input", "textarea", "select"):
            chosen = attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes
            if chosen:
                self._form.fields.append((attributes["name"], attributes.get("value", "")))


class BrowserWalker:
    """A page of a real browser."""

    def __init__(self, page: Any, home: str, pictures: Path | None = None) -> None:
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        self._page, self._home = page, home

    def open(self, address: str) -> None:
        """Go to an address."""
        self._page.goto(urljoin(self._home, address))

    def follow(self, text: str) -> None:
        """Follow the first link that shows this text."""
        self._page.locator("a:visible", has_text=text).first.click()
        self._settled()

    def fill(self, name: str, value: str) -> None:
        """Write into the field of this name."""
        self._page.locator(f"[name={name}]:visible").first.fill(value)

    def press(self, text: str) -> None:
        """Press the first button that shows this text."""
        self._page.locator("button:visible", has_text=text).first.click()
        self._settled()

    def save(self, text: str) -> bytes:
        """Save the file behind the link that shows this text."""
        with self._page.expect_download() as waiting:
            self._page.locator("a:visible", has_text=text).first.click()
        return Path(waiting.value.path()).read_bytes()

    def shown(self) -> str:
        """What is read on the page, blanks as one."""
        return re.sub(r"\s+", " ", self._page.inner_text("body"))

    def _settled(self) -> None:
        self._page.wait_for_load_state("load")
