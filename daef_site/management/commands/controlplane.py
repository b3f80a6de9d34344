import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

import probes
from audit.events import INTERNAL
from daef_site import checks, env, garbage, ports
from daef_site.children import exit_with_parent
from daef_site.exposure import GRPC
from jobs import auditor, explainer, figures, keeper, reaper, ticketer
from jobs.actions import restoring
from jobs.rpc import server as rpc_server

logger = logging.getLogger(__name__)
# How long calls may go on after the end was asked for.
GRACE_SECONDS = 2.0
# How often the main thread says that it lives.
TURN_SECONDS = 1.0


class Command(BaseCommand):
    help = "gRPC (JobService, WorkerService) and the controllers in one process."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        _warn(checks.require_safe_settings(frozenset({GRPC})))
        _check_surroundings()
        stop, broken = threading.Event(), threading.Event()
        _stop_on_signals(stop)
        if os.environ.get("DAEF_SUPERVISED"):
            exit_with_parent()
        server = rpc_server.serve(env.shown_address(*settings.DAEF_GRPC_ADDR))
        loops = [
            _start_loop("reaper", reaper.run_forever, stop, broken),
            _start_loop("keeper", keeper.run_forever, stop, broken),
            _start_loop("ticketer", ticketer.run_forever, stop, broken),
            _start_loop("explainer", explainer.run_forever, stop, broken),
            _start_loop("auditor", auditor.run_forever, stop, broken),
            _start_loop("figures", figures.run_forever, stop, broken),
        ]
        garbage.collect_rarely()
        _serve_until(stop)
        server.stop(GRACE_SECONDS).wait(GRACE_SECONDS + 1)
        for loop in loops:
            loop.join(GRACE_SECONDS)
        logging.shutdown()
        # Python would wait at its end for calls that hang, for example on a dead network.
        os._exit(1 if broken.is_set() else 0)


def _check_surroundings() -> None:
    """Raise NoStore, UnsafeConfiguration or CommandError before anything starts in vain."""
    try:
        _warn(checks.require_safe_stores(processes=1, migrated=True))
        restoring.notice(INTERNAL)
    finally:
        connection.close()
    try:
        ports.require_free(*settings.DAEF_GRPC_ADDR, "DAEF_GRPC_ADDR")
        if settings.DAEF_PROBE_ADDR:
            ports.require_free(*settings.DAEF_PROBE_ADDR, "DAEF_PROBE_ADDR")
    except ports.PortTaken as error:
        raise CommandError(str(error)) from error


def _serve_until(stop: threading.Event) -> None:
    signs = probes.Signs()
    if settings.DAEF_PROBE_ADDR:
        probes.serve(settings.DAEF_PROBE_ADDR, signs)
    while not stop.is_set():
        signs.turned()
        signs.answered()
        stop.wait(TURN_SECONDS)
    signs.leaving()


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        logger.warning(warning)


def _stop_on_signals(stop: threading.Event) -> None:
    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)


def _start_loop(
    name: str,
    run_forever: Callable[[threading.Event], object],
    stop: threading.Event,
    broken: threading.Event,
) -> threading.Thread:
    """A controller in a thread; when it ends by itself, so does the process, to be restarted."""

    def body() -> None:
        try:
            run_forever(stop)
        except Exception:
            logger.exception("%s failed", name)
        if not stop.is_set():
            broken.set()
            stop.set()

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread
