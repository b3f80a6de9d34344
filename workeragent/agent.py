"""The agent: register, work, register anew when the control plane has forgotten us, leave."""

import logging
import os
import re
import threading
import uuid
from collections.abc import Callable, Mapping

import probes
from proto.daef.v1 import worker_pb2
from workeragent.client import (
    ControlPlane,
    RefusedError,
    UnknownWorkerError,
    UnreachableError,
    backoff,
)
from workeragent.config import ConfigurationError, Settings, has_moved
from workeragent.executors import available_kinds
from workeragent.session import Ending, Session

VERSION = "0.1.0"

KEYLESS_ENDPOINTS = "openai:"
"""Stands for the models of every OpenAI-compatible endpoint that asks for no key; with the name of
a key behind it, for those of endpoints that ask for that key."""

KEY_VARIABLE = re.compile(r"DAEF_MODEL_KEY_([A-Z0-9_]+?)(_FILE)?")

logger = logging.getLogger(__name__)


def run(
    load: Callable[[], Settings], stop: threading.Event, signs: probes.Signs | None = None
) -> None:
    """Work until ``stop`` is set; ``load`` reads the settings, again for each registration.

    ``signs`` is told how things go, for probes.

    Raises ConfigurationError when the settings are wrong or the control plane refuses them.
    """
    signs = signs or probes.Signs()
    ending = Ending.LOST
    while ending is Ending.LOST and not stop.is_set():
        settings = load()
        control_plane = ControlPlane(settings.transport)
        registered = _register(control_plane, settings, stop, signs)
        if registered is not None:
            logger.info(
                "joined %s as worker %d: pool %s, %d slots",
                settings.transport.address,
                registered.worker_id,
                settings.pool,
                settings.slots,
            )
            ending = Session(settings, control_plane, registered, signs).run(stop)


def registration(settings: Settings) -> worker_pb2.RegisterRequest:
    """What a fresh incarnation says of itself."""
    return worker_pb2.RegisterRequest(
        incarnation=str(uuid.uuid4()),
        name=settings.name,
        node=settings.node,
        pool=settings.pool,
        slots=settings.slots,
        kinds=available_kinds(test_kinds=settings.test_kinds),
        models=available_models(),
        version=VERSION,
    )


def available_models(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The models this installation reaches: embedded ones, and endpoints' by the keys it has."""
    found = [match[1] for name in environ if (match := KEY_VARIABLE.fullmatch(name))]
    endpoints = [KEYLESS_ENDPOINTS, *(KEYLESS_ENDPOINTS + key for key in sorted(set(found)))]
    try:
        from workeragent.models import registry
    except ImportError:
        return endpoints
    return [*registry.available_models(), *endpoints]


def _register(
    control_plane: ControlPlane, settings: Settings, stop: threading.Event, signs: probes.Signs
) -> worker_pb2.RegisterResponse | None:
    """Register, waiting for the control plane; None when told to stop or to look anew."""
    request = registration(settings)
    said = False
    for wait in backoff():
        signs.turned()
        try:
            return control_plane.register(request)
        except RefusedError as error:
            raise ConfigurationError(f"The control plane refused this agent: {error}") from error
        except UnknownWorkerError as error:
            _token_refused(settings, error, stop)
            return None
        except UnreachableError as error:
            if not said:
                logger.warning("waiting for %s: %s", settings.transport.address, error.status)
            said = True
        if stop.wait(wait) or has_moved(settings):
            return None
    return None


def _token_refused(settings: Settings, error: UnknownWorkerError, stop: threading.Event) -> None:
    if settings.fabric is None:
        raise ConfigurationError(
            f"The control plane refused the token ({error.status}): check DAEF_AGENT_TOKEN."
        ) from error
    # The fabric is being replaced: its file names another token soon.
    logger.warning("the local fabric refused its own token: %s", error.status)
    stop.wait(1.0)
