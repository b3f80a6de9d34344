"""Jobs of echo tasks, submitted and looked at through the public API."""

from typing import Any

import httpx

from tests.acceptance.fabrics import RunningFabric, wait_until


class Jobs:
    """Submits and looks at jobs through the public API."""

    def __init__(self, fabric: RunningFabric) -> None:
        self._client = httpx.Client(base_url=f"http://{fabric.http}/v1", timeout=30)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def submit(self, tasks: int, sleep_ms: int = 0, **more: Any) -> str:
        """A batch of echo tasks; its id."""
        answer = self._client.post("/jobs", json=batch(tasks, sleep_ms) | more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def progress(self, job: str) -> dict[str, int]:
        """Its counters."""
        return self._client.get(f"/jobs/{job}").json()["progress"]

    def has_succeeded(self, job: str, tasks: int) -> bool:
        """Whether so many of its tasks have."""
        return self.progress(job)["succeeded"] == tasks

    def wait_running(self, job: str, tasks: int) -> None:
        """Wait until so many of its tasks run."""
        wait_until(lambda: self.progress(job)["running"] == tasks)

    def cancel(self, job: str) -> None:
        """End it."""
        self._client.post(f"/jobs/{job}/cancel").raise_for_status()

    def run_one(self) -> None:
        """Run a short task to its end: some agent is idle and ready."""
        job = self.submit(1)
        wait_until(lambda: self.progress(job)["succeeded"] == 1)


def batch(tasks: int, sleep_ms: int = 0) -> dict[str, Any]:
    """A request for a job of independent echo tasks."""
    requests = [
        {"custom_id": f"r-{n}", "kind": "echo", "input": n, "parameters": {"sleep_ms": sleep_ms}}
        for n in range(tasks)
    ]
    return {"type": "batch", "requests": requests}
