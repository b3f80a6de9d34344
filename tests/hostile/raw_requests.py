"""Requests that are wrong as HTTP, or at its edges: bytes, and what may answer them."""

from dataclasses import dataclass
from typing import Final

HOST: Final = b"Host: localhost\r\n"
END: Final = b"Connection: close\r\n\r\n"
JSON: Final = b"Content-Type: application/json\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
SUBMIT: Final = b"POST /v1/jobs HTTP/1.1\r\n" + HOST + JSON
LIST: Final = b"GET /v1/jobs HTTP/1.1\r\n" + HOST
HEALTH: Final = b"GET /healthz HTTP/1.1\r\n" + HOST
JOB: Final = b'{"type":"chat","input":"smuggled"}'


@dataclass(frozen=True)
class Case:
    """Bytes for the server. `ours` says that the answer is a problem document of the application,
    not the server's own bare one; 0 among the statuses is a connection closed without an answer.
    """

    data: bytes
    statuses: tuple[int, ...]
    ours: bool = False
    half_close: bool = False


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SMUGGLING: Final = {
    "Content-Length before Transfer-Encoding": Case(
        SUBMIT + b"Content-Length: 6\r\n" + CHUNKED + END + b"0\r\n\r\nG", (411,), ours=True
    ),
    "Transfer-Encoding before Content-Length": Case(
        SUBMIT + CHUNKED + b"Content-Length: 6\r\n" + END + b"0\r\n\r\nG", (411,), ours=True
    ),
    "two different lengths": Case(
        SUBMIT + b"Content-Length: 2\r\nContent-Length: 3\r\n" + END + b"{}x", (400,)
    ),
    "two equal lengths": Case(
        SUBMIT + b"Content-Length: 2\r\nContent-Length: 2\r\n" + END + b"{}", (400,), ours=True
    ),
    "lengths in one list": Case(SUBMIT + b"Content-Length: 2, 2\r\n" + END + b"{}", (400,)),
    "a length with a sign": Case(SUBMIT + b"Content-Length: +2\r\n" + END + b"{}", (400,)),
    "a negative length": Case(SUBMIT + b"Content-Length: -2\r\n" + END + b"{}", (400,)),
    "a hexadecimal length": Case(SUBMIT + b"Content-Length: 0x2\r\n" + END + b"{}", (400,)),
    "a length beyond 64 bits": Case(
        SUBMIT + b"Content-Length: 99999999999999999999\r\n" + END + b"{}", (400,)
    ),
    "a length of 2^63 - 1": Case(
        SUBMIT + b"Content-Length: 9223372036854775807\r\n" + END + b"{}", (413,), ours=True
    ),
    "a blank before the length's colon": Case(
        SUBMIT + b"Content-Length : 2\r\n" + END + b"{}", (400,)
    ),
    "a blank before the encoding's colon": Case(
        SUBMIT + b"Transfer-Encoding : chunked\r\n" + END + b"0\r\n\r\n", (400,)
    ),
    "gzip as the only encoding": Case(
        SUBMIT + b"Transfer-Encoding: gzip\r\n" + END + b"{}", (400,)
    ),
    "gzip before chunked": Case(
        SUBMIT + b"Transfer-Encoding: gzip, chunked\r\n" + END + _chunk(b"{}") + b"0\r\n\r\n",
        (411,),
        ours=True,
    ),
    "chunked not last": Case(
        SUBMIT + b"Transfer-Encoding: chunked, identity\r\n" + END + b"0\r\n\r\n", (400,)
    ),
    "an encoding that looks like chunked": Case(
        SUBMIT + b"Transfer-Encoding: xchunked\r\n" + END + b"0\r\n\r\n", (400,)
    ),
    "chunked in HTTP/1.0": Case(
        b"POST /v1/jobs HTTP/1.0\r\n" + HOST + JSON + CHUNKED + b"\r\n0\r\n\r\n", (400,)
    ),
    "a folded header": Case(LIST + b"X-A: a\r\n b\r\n" + END, (400,)),
    "a bare CR in a header": Case(LIST + b"X-A: a\rb\r\n" + END, (400,)),
    "NUL in a header": Case(LIST + b"X-A: a\x00b\r\n" + END, (400,)),
    "NUL in the path": Case(b"GET /v1/jo\x00bs HTTP/1.1\r\n" + HOST + END, (400,)),
    "a body longer than its length": Case(
        SUBMIT + b"Content-Length: 2\r\n" + END + b"{}GET /v1/jobs HTTP/1.1\r\n", (400,), ours=True
    ),
    "a request behind a chunked one": Case(
        SUBMIT + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HEALTH + END,
        (411,),
        ours=True,
    ),
}
"""What two servers in a row could read in two ways."""

CHUNKS: Final = {
    "a good chunked body": Case(SUBMIT + CHUNKED + END + _chunk(JOB) + b"0\r\n\r\n", (411,), True),
    "a size that is no number": Case(SUBMIT + CHUNKED + END + b"ZZ\r\n{}\r\n", (411,), True),
    "a negative size": Case(SUBMIT + CHUNKED + END + b"-2\r\n{}\r\n", (411,), True),
    "a size beyond 64 bits": Case(SUBMIT + CHUNKED + END + b"F" * 17 + b"\r\n{}", (411,), True),
    "100 kB of chunk extensions": Case(
        SUBMIT + CHUNKED + END + b"2;" + b"a" * 100_000 + b"\r\n{}\r\n0\r\n\r\n", (411,), True
    ),
    "a trailer that names a token": Case(
        SUBMIT + CHUNKED + END + _chunk(JOB) + b"0\r\nAuthorization: Bearer a\r\n\r\n",
        (411,),
        True,
    ),
    "a job, then a broken chunk": Case(
        SUBMIT + CHUNKED + END + _chunk(JOB) + b"Z\r\n", (411,), True
    ),
    "a job, then the end": Case(
        SUBMIT + CHUNKED + END + _chunk(JOB), (411,), True, half_close=True
    ),
}
"""None is taken: the server cannot tell their end from a cut connection."""

CUT: Final = {
    "half a body, then the end": Case(
        SUBMIT + b"Content-Length: 100\r\n" + END + b"{}", (400,), ours=True, half_close=True
    ),
    "half a file, then the end": Case(
        b"POST /v1/files?name=a.csv HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: text/csv\r\nContent-Length: 100\r\n"
        + END
        + b"text\na\n",
        (400,),
        ours=True,
        half_close=True,
    ),
    "half a form, then the end": Case(
        b"POST /v1/files HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 500\r\n"
        + END
        + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ntext\na\n',
        (400,),
        ours=True,
        half_close=True,
    ),
    "half the headers, then the end": Case(LIST + b"X-A: ", (0, 400), half_close=True),
    "nothing, then the end": Case(b"", (0,), half_close=True),
}
"""Connections that end in the middle."""

EDGES: Final = {
    "HTTP/0.9": Case(b"GET /healthz\r\n", (400,)),
    "HTTP/1.0 without a Host": Case(b"GET /v1/jobs HTTP/1.0\r\n\r\n", (400,), ours=True),
    "HTTP/1.0": Case(b"GET /v1/jobs HTTP/1.0\r\n" + HOST + b"\r\n", (200,)),
    "HTTP/1.2": Case(b"GET /healthz HTTP/1.2\r\n" + HOST + END, (400,)),
    "HTTP/2.0 as a request line": Case(b"GET /healthz HTTP/2.0\r\n" + HOST + END, (400,)),
    "HTTP/2 with prior knowledge": Case(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", (0, 400)
    ),
    "no Host": Case(b"GET /v1/jobs HTTP/1.1\r\n" + END, (400,), ours=True),
    "an empty Host": Case(b"GET /v1/jobs HTTP/1.1\r\nHost: \r\n" + END, (400,), ours=True),
    "two Hosts": Case(LIST + b"Host: evil.example\r\n" + END, (400,), ours=True),
    "a foreign Host first": Case(
        b"GET /v1/jobs HTTP/1.1\r\nHost: evil.example\r\n" + HOST + END, (400,), ours=True
    ),
    "a foreign Host behind a local target": Case(
        b"GET http://localhost/v1/jobs HTTP/1.1\r\nHost: evil.example\r\n" + END, (400,), ours=True
    ),
    "an absolute target": Case(b"GET http://localhost/v1/jobs HTTP/1.1\r\n" + HOST + END, (200,)),
    "an authority as the target": Case(
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + END, (404,), ours=True
    ),
    "an asterisk as the target": Case(b"OPTIONS * HTTP/1.1\r\n" + HOST + END, (404,), ours=True),
    "a method that cannot be": Case(b"G@T /v1/jobs HTTP/1.1\r\n" + HOST + END, (400,)),
    "a method nobody knows": Case(b"BREW /v1/jobs HTTP/1.1\r\n" + HOST + END, (405,), ours=True),
    "a method of 300 letters": Case(
        b"A" * 300 + b" /v1/jobs HTTP/1.1\r\n" + HOST + END, (405,), ours=True
    ),
    "TRACE": Case(b"TRACE /v1/jobs HTTP/1.1\r\n" + HOST + END, (405,), ours=True),
    "bare line feeds": Case(
        b"GET /v1/jobs HTTP/1.1\nHost: localhost\nConnection: close\n\n", (200,)
    ),
    "a blank in the target": Case(b"GET /v1/jobs x HTTP/1.1\r\n" + HOST + END, (400,)),
    "Latin-1 in the path": Case(b"GET /v1/jobs/\xe9 HTTP/1.1\r\n" + HOST + END, (400,)),
    "dots in the path": Case(b"GET /v1/../admin/ HTTP/1.1\r\n" + HOST + END, (404,), ours=True),
    "two slashes": Case(b"GET //v1/jobs HTTP/1.1\r\n" + HOST + END, (404,), ours=True),
    "a header of 500 kB": Case(LIST + b"X-A: " + b"a" * 500_000 + b"\r\n" + END, (431,)),
    "200 headers": Case(
        LIST + b"".join(b"X-%d: a\r\n" % number for number in range(200)) + END, (431,)
    ),
    "a query of 9 kB": Case(
        b"GET /v1/jobs?label=" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + END, (400,), ours=True
    ),
    "a path of 9 kB": Case(
        b"GET /v1/jobs/" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + END, (404,), ours=True
    ),
    "an address of 70 kB": Case(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + END, (414,)),
    "Latin-1 in a header": Case(LIST + b"X-Request-Id: \xe9\r\n" + END, (200,)),
    "Latin-1 in a token": Case(LIST + b"Authorization: Bearer \xe9\r\n" + END, (401,), ours=True),
    "two tokens": Case(
        LIST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n" + END, (401,), ours=True
    ),
    "a proxy's header with underscores": Case(
        LIST + b"X_Forwarded_For: 192.0.2.1\r\n" + END, (401,), ours=True
    ),
    "an expectation nobody knows": Case(
        SUBMIT + b"Content-Length: 2\r\nExpect: miracles\r\n" + END + b"{}", (400,), ours=True
    ),
    "an expectation without a body": Case(HEALTH + b"Expect: 100-continue\r\n" + END, (200,)),
    "an upgrade to h2c": Case(
        HEALTH
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        (200,),
    ),
    "an upgrade to a web socket": Case(
        HEALTH + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        (200,),
    ),
    "empty lines before the request": Case(b"\r\n\r\n" + HEALTH + END, (200,)),
    "all bytes there are": Case(bytes(range(256)) * 4, (400,)),
    "a TLS hello": Case(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"a" * 160, (400,)),
}
"""What is at the edge of HTTP, or beyond."""

CASES: Final = {**SMUGGLING, **CHUNKS, **CUT, **EDGES}
