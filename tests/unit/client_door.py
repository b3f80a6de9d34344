"""A small HTTP server that answers what a test tells it, in the shapes of the API."""

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What to answer; ``cut`` closes the connection in place of an answer, or after the body."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Door:
    """Answers per path in order; the last one stands for all later requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, deque[Answer]] = {}
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                path = self.path.partition("?")[0]
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length)
                door.requests.append(Request(self.command, self.path, headers, body))
                self.answer(door.next(path))

            def answer(self, answer: Answer) -> None:
                if answer.cut and answer.body is None:
                    self.close_connection = True
                    return
                body = answer.body
                raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw) + (9 if answer.cut else 0)))
                self.end_headers()
                self.wfile.write(raw)
                self.close_connection |= answer.cut

            do_GET = handle_one  # noqa: N815 (http.server looks for these names)
            do_POST = handle_one  # noqa: N815

            def log_message(self, *args) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def tell(self, path: str, *answers: Answer) -> None:
        self.answers[path] = deque(answers)

    def next(self, path: str) -> Answer:
        waiting = self.answers.get(path)
        if not waiting:
            return problem(404, "not_found", "There is no such object.")
        return waiting.popleft() if len(waiting) > 1 else waiting[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def problem(status: int, code: str, detail: str, *, fields=(), headers=None) -> Answer:
    """A problem document."""
    body = {
        "type": f"https://daef.io/errors/{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r-1",
        "errors": [{"field": name, "message": message} for name, message in fields],
    }
    return Answer(body, status, {"Content-Type": "application/problem+json", **(headers or {})})


def stage(name: str, total: int = 0, **counts: int):
    """A stage of a job."""
    empty = dict.fromkeys(COUNTS, 0)
    return (
        {"name": name, "total": total, "planned_min": total, "planned_max": total} | empty | counts
    )


COUNTS = ("blocked", "queued", "running", "succeeded", "dead_lettered", "cancelled")


def job(status: str = "Running", *stages, **fields):
    """A job in the API's shape."""
    stages = stages or (stage("answer", 1, running=1),)
    progress = {name: sum(one[name] for one in stages) for name in COUNTS}
    total = sum(one["total"] for one in stages)
    ended = progress["succeeded"] + progress["dead_lettered"] + progress["cancelled"]
    percent = 100 * ended / total if total else 0.0
    document = {
        "id": "job-1",
        "tenant": "default",
        "type": "analyze",
        "status": status,
        "reason": "Running",
        "message": "",
        "priority": "standard",
        "policy": "enterprise-default@1",
        "pool": "default",
        "progress": {"total": total, **progress, "percent": percent, "eta_seconds": None},
        "stages": list(stages),
        "usage": {"input_tokens": 29_000, "output_tokens": 400},
        "cost_usd": 0.61,
        "budget": {"limit_usd": 2.0, "settled_usd": 0.61, "reserved_usd": 0.09},
        "plan": {"estimate": {}},
        "as_of": "2026-11-01T10:00:10.000Z",
        "created_at": "2026-11-01T10:00:00.000Z",
        "started_at": "2026-11-01T10:00:01.000Z",
        "finished_at": None,
    }
    return document | fields
