"""What every RPC goes through: who asks, may they, and errors in REST's words.

Each call gives its database connection back: a thread that kept one would find it dead after a
restart of the database, call after call, and would take it from others while they are scarce.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from django.db import close_old_connections
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from access.actors import LOCAL_OPERATOR, Actor
from access.authentication import authenticate_header, is_loopback
from access.errors import BadCredentials, NotAllowed
from access.tokens import any_token
from jobs.errors import DaefError, InternalError
from jobs.failures import as_daef_error

logger = logging.getLogger(__name__)

DOMAIN = "daef.io"

PUBLIC_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")
"""Services that answer without a token; everything else needs the scope its service names."""

SCOPES = {"/daef.v1.WorkerService/": "worker", "/daef.v1.JobService/": "tenant"}


class DoorInterceptor(grpc.ServerInterceptor):
    """Authenticates and authorises each call and renders every error; unknown methods are denied.

    The handler finds the caller as ``context.actor``.
    """

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Wrap the handler of every service that is not public."""
        handler = continuation(details)
        if handler is None or details.method.startswith(PUBLIC_SERVICES):
            return handler
        scope = next((s for name, s in SCOPES.items() if details.method.startswith(name)), None)
        headers = [value for name, value in details.invocation_metadata if name == "authorization"]
        return _wrapped(handler, scope, headers)


def _wrapped(handler: Any, scope: str | None, headers: Sequence[str]) -> Any:
    for name, guarded, make in KINDS:
        if behaviour := getattr(handler, name):
            return make(
                guarded(behaviour, scope, headers),
                handler.request_deserializer,
                handler.response_serializer,
            )
    raise AssertionError("a handler without a behaviour")


def _unary(behaviour: Callable[..., Any], scope: str | None, headers: Sequence[str]) -> Any:
    def call(request: Any, context: Any) -> Any:
        try:
            _enter(context, scope, headers)
            return behaviour(request, context)
        except Exception as error:
            _refuse(context, error)
        finally:
            close_old_connections()

    return call


def _streaming(behaviour: Callable[..., Any], scope: str | None, headers: Sequence[str]) -> Any:
    def call(request: Any, context: Any) -> Iterator[Any]:
        try:
            _enter(context, scope, headers)
            yield from behaviour(request, context)
        except Exception as error:
            _refuse(context, error)
        finally:
            close_old_connections()

    return call


KINDS: tuple[tuple[str, Callable[..., Any], Callable[..., Any]], ...] = (
    ("unary_unary", _unary, grpc.unary_unary_rpc_method_handler),
    ("unary_stream", _streaming, grpc.unary_stream_rpc_method_handler),
    ("stream_unary", _unary, grpc.stream_unary_rpc_method_handler),
    ("stream_stream", _streaming, grpc.stream_stream_rpc_method_handler),
)
"""Each kind of method: gRPC's name for its behaviour, who guards it, and what makes its handler."""


def _enter(context: Any, scope: str | None, headers: Sequence[str]) -> None:
    if scope is None:
        raise NotAllowed("This method is closed: it names no scope.")
    context.actor = _actor(context, headers)
    if not context.actor.may(scope):
        raise NotAllowed(f"This needs a token with the scope {scope}.")


def _actor(context: Any, headers: Sequence[str]) -> Actor:
    if len(headers) > 1:
        raise BadCredentials("Send the metadata 'authorization' once.")
    if headers:
        return authenticate_header(headers[0])
    if any_token() or not _is_local(context.peer()):
        raise BadCredentials("Send the metadata 'authorization: Bearer <token>'.")
    return LOCAL_OPERATOR


def _is_local(peer: str) -> bool:
    return is_loopback(peer_address(peer))


def peer_address(peer: str) -> str:
    """Return the address in ``ipv4:127.0.0.1:50000`` or ``ipv6:[::1]:50000``."""
    address = peer.partition(":")[2].rpartition(":")[0]
    return address.replace("%5B", "").replace("%5D", "").strip("[]")


def _refuse(context: Any, error: Exception) -> None:
    if isinstance(error, grpc.RpcError):
        # Not one of ours: the caller left in the middle of what it was sending.
        context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
    told = as_daef_error(error)
    if isinstance(told, InternalError):
        logger.error("an RPC failed", exc_info=error)
    context.abort_with_status(rpc_status.to_status(_status(told)))


def _status(error: DaefError) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN)
    for field in error.fields:
        info.metadata[field.field] = field.message
    detail = any_pb2.Any()
    detail.Pack(info)
    code = getattr(code_pb2, error.grpc_status)
    return status_pb2.Status(code=code, message=error.detail, details=[detail])
