"""The API under requests that schemathesis makes from the gateway's own OpenAPI document."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

STREAM_SECONDS: Final = 0.7
"""How long to listen to a stream of events that has nothing to tell."""

SETTINGS: Final = f"""
continue-on-failure = true
request-timeout = 30
max-stream-events = 1

[generation]
database = "none"

[checks]
max_response_time = 30

[[operations]]
include-path-regex = "/events$"
request-timeout = {STREAM_SECONDS}

# DELETE cancels a job, which then can still be looked at; files do go.
[[operations]]
include-path-regex = "^/v1/jobs"
checks.use_after_free.enabled = false
"""

# What a schema cannot say of a body: names that must exist, be unique, or fit each other.
BODY_SETTINGS: Final = """
[[operations]]
include-operation-id = {operations}
checks.positive_data_acceptance.expected-statuses = {statuses}
"""
REFUSALS_BY_MEANING: Final = ["2xx", "400", "403", "404", "409", "412", "422", "428", "429", "503"]


@dataclass(frozen=True)
class Fuzzed:
    """What a run found."""

    report: dict[str, Any]
    output: str

    @property
    def cases(self) -> int:
        """How many requests were made and checked."""
        return int(self.report["test_cases"]["generated"])

    @property
    def tested(self) -> int:
        """How many operations of the document were tested."""
        return int(self.report["operations"]["tested"])

    def links_covered(self) -> int:
        """How many links from one operation's answer to another's parameters were followed."""
        found = re.search(r"(\d+) covered / \d+ selected", self.output)
        return int(found[1]) if found else 0


def fuzz(
    address: str,
    folder: Path,
    *,
    examples: int,
    seed: int,
    phases: str = "examples,coverage,fuzzing,stateful",
    token: str | None = None,
) -> Fuzzed:
    """Run all of schemathesis's checks against the gateway at ``host:port``."""
    document = httpx.get(f"http://{address}/v1/openapi.json", timeout=30).json()
    settings, report = folder / "schemathesis.toml", folder / "report.json"
    settings.write_text(SETTINGS + _body_settings(document))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings)),
        *("--no-color", "run", f"http://{address}/v1/openapi.json"),
        *("--phases", phases, "--max-examples", str(examples), "--seed", str(seed)),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), (ran.returncode, ran.stdout, ran.stderr)
    return Fuzzed(json.loads(report.read_text()), ran.stdout)


def _body_settings(document: dict[str, Any]) -> str:
    operations = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    return BODY_SETTINGS.format(operations=operations, statuses=REFUSALS_BY_MEANING)
