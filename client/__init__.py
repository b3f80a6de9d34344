"""DAEF's Python client and the ``daef`` command; speaks HTTP only and knows nothing of the server.

    from client import Client

    with Client("http://127.0.0.1:8080") as daef:
        job = daef.jobs.submit({"type": "chat", "input": "What is a lease?"})
        job = daef.jobs.wait(job["id"])
        print(daef.jobs.report(job["id"])["summary"])

In the checkout the package is ``client``; installed by itself (``pip install ./client``) it is
``daef_client``.
"""

from .api import Client
from .errors import (
    ApiError,
    ClientError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    RateLimited,
    ServerFailed,
    Unreachable,
)
from .events import Event

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "Conflict",
    "Event",
    "InvalidRequest",
    "NotAllowed",
    "NotFound",
    "RateLimited",
    "ServerFailed",
    "Unreachable",
]
