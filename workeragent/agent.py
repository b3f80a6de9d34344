"""The agent: register, work, register anew when the control plane has forgotten us, leave."""

import logging
import threading
import uuid
from collections.abc import Callable

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

ANY_OPENAI_MODEL = "openai:*"
"""Stands for every model of an OpenAI-compatible endpoint; such endpoints arrive by Register."""

logger = logging.getLogger(__name__)


def run(load: Callable[[], Settings], stop: threading.Event) -> None:
    """Work until ``stop`` is set; ``load`` reads the settings, again for each registration.

    Raises ConfigurationError when the settings are wrong or the control plane refuses them.
    """
    ending = Ending.LOST
    while ending is Ending.LOST and not stop.is_set():
        settings = load()
        control_plane = ControlPlane(settings.transport)
        registered = _register(control_plane, settings, stop)
        if registered is not None:
            logger.info(
                "joined %s as worker %d: pool %s, %d slots",
                settings.transport.address,
                registered.worker_id,
                settings.pool,
                settings.slots,
            )
            ending = Session(settings, control_plane, registered).run(stop)


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


def available_models() -> list[str]:
    """The models this installation reaches: the embedded ones, and any that an endpoint has."""
    try:
        from workeragent.models import registry
    except ImportError:
        return [ANY_OPENAI_MODEL]
    return list(dict.fromkeys([*registry.available_models(), ANY_OPENAI_MODEL]))


def _register(
    control_plane: ControlPlane, settings: Settings, stop: threading.Event
) -> worker_pb2.RegisterResponse | None:
    """Register, waiting for the control plane; None when told to stop or to look anew."""
    request = registration(settings)
    said = False
    for wait in backoff():
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
