"""Who leads, and what one may do that no longer surely does."""

import asyncio
from typing import Any

import pytest

from kube.fabric import Fabric, NotLeading
from kube.leader import Leadership


class LeaseOfNobody:
    """A cluster without a Lease, that takes every one."""

    async def find(self, _: str) -> None:
        return None

    async def post(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        return body


def test_a_leader_that_was_stopped_begins_no_call_of_the_fabric(monkeypatch):
    monkeypatch.setenv("DAEF_URL", "http://127.0.0.1:9")
    time = [100.0]
    leadership = Leadership(LeaseOfNobody(), "default", "us", 15.0, lambda: time[0])  # type: ignore[arg-type]
    assert not leadership.holds()
    asyncio.run(leadership.acquire())
    assert leadership.holds()
    time[0] += 10.1
    fabric = Fabric()
    fabric.guard(leadership.holds)
    with pytest.raises(NotLeading):
        asyncio.run(fabric.submit({}, "key"))
    fabric.close()
