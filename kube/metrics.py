"""What the operator tells Prometheus, and its probes."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

REGISTRY = CollectorRegistry()
LEADER = Gauge("daef_operator_leader", "1 where this process leads.", registry=REGISTRY)
WAITING = Gauge(
    "daef_operator_queue_depth", "Resources that are to be looked at.", registry=REGISTRY
)
RECONCILED = Counter(
    "daef_operator_reconciles",
    "Looks at a resource, by how they ended: ok or error.",
    ("kind", "outcome"),
    registry=REGISTRY,
)
STATUS_WRITES = Counter(
    "daef_operator_status_writes", "Statuses written.", ("kind",), registry=REGISTRY
)
SUBMISSIONS = Counter("daef_operator_submissions", "Jobs submitted.", registry=REGISTRY)


async def serve(address: tuple[str, int], ready: Callable[[], bool]) -> web.AppRunner:
    """Answer ``/healthz``, ``/readyz`` and ``/metrics`` from this event loop."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        good = ready()
        return web.Response(text="ok\n" if good else "not now\n", status=200 if good else 503)

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        return web.Response(body=generate_latest(REGISTRY), headers=headers)

    application = web.Application()
    for handler in (healthz, readyz, metrics):
        application.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, *address).start()
    return runner
