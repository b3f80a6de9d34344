"""RQ's own pages (django-rq), to read and never to change anything: which of them, and over what.

Their buttons would leave nothing in the audit log, and what they change matters to nobody: tickets
only wake agents, and are written anew every second while work waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import redis
from django.urls import URLPattern
from rq.exceptions import DeserializationError, NoSuchJobError

from queueing.rq_client import QueueUnavailable, queue_name
from queueing.rq_state import ticket_settings

READ: Final = frozenset(
    {
        "home",
        "jobs",
        "queue_details",
        "finished_jobs",
        "failed_jobs",
        "scheduled_jobs",
        "started_jobs",
        "deferred_jobs",
        "job_detail",
        "result_detail",
        "workers",
        "worker_details",
    }
)
"""django-rq's names of the pages that show something; all others do something, or lead to it."""


def _package() -> Path:
    # Found, not imported: it reads Django's settings, which ask here for its folders.
    spec = find_spec("django_rq")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("django_rq is not installed: pip install -r requirements.txt")
    return Path(spec.origin).parent


PACKAGE: Final[Path] = _package()
TEMPLATES: Final[Path] = PACKAGE / "templates"
STATIC: Final[Path] = PACKAGE / "static"
"""The package is no installed app: its commands and its own entry in the console stay out."""

TEMPLATE_TAGS: Final[dict[str, str]] = {
    name: f"django_rq.templatetags.{name}" for name in ("django_rq", "jquery_path")
}

_shown: ContextVar[Mapping[str, dict[str, str]]] = ContextVar("rq_queues")


class NotShown(Exception):
    """RQ has no such queue, ticket or agent, or cannot read what lies there."""


class PoolQueues(Mapping[str, dict[str, str]]):
    """``RQ_QUEUES``: the queues of the pools that one request shows, none outside of one.

    Pools come and go while the gateway runs, so no setting can name their queues.
    """

    def __getitem__(self, name: str) -> dict[str, str]:
        return _shown.get({})[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_shown.get({}))

    def __len__(self) -> int:
        return len(_shown.get({}))


@contextmanager
def showing(pools: Sequence[str]) -> Iterator[None]:
    """Let RQ's pages see the queues of these pools. Raises NotShown and QueueUnavailable."""
    token = _shown.set({queue_name(pool): ticket_settings() for pool in pools})
    try:
        yield
    except redis.RedisError as error:
        raise QueueUnavailable(type(error).__name__) from error
    except (LookupError, NoSuchJobError, DeserializationError, ValueError) as error:
        raise NotShown(type(error).__name__) from error
    finally:
        _shown.reset(token)


def rq_patterns(wrap: Callable[[Callable[..., Any], str], Callable[..., Any]]) -> list[URLPattern]:
    """Return RQ's addresses, each view in what ``wrap`` makes of it and its name."""
    from django_rq.urls import get_admin_urlpatterns, get_api_urlpatterns

    # The pages link to the API's addresses, so those have to be there; nothing answers at them.
    patterns: list[URLPattern] = [*get_api_urlpatterns(), *get_admin_urlpatterns()]
    for pattern in patterns:
        pattern.callback = wrap(pattern.callback, pattern.name or "")
    return patterns
