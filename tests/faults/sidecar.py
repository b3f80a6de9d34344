"""A gRPC proxy that knows one call from another: what a TCP proxy cannot break apart.

Bytes are passed on as they are; only the method's name is looked at.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc

from daef_site import ports

STREAMED_ANSWERS = frozenset({"ReadArtifact"})
STREAMED_REQUESTS = frozenset({"WriteArtifact"})
THREADS = 12


class Sidecar:
    """Forwards one agent's calls to the control planes.

    Faults are changed from any thread, by the calls' names: ``dropped`` never arrive, ``unheard``
    do, but their answers are lost, ``repeated`` arrive once more, 1 to 2.5 s later.
    """

    def __init__(self, targets: list[int]) -> None:
        self.port = ports.free_port()
        self.dropped: frozenset[str] = frozenset()
        self.unheard: frozenset[str] = frozenset()
        self.repeated: frozenset[str] = frozenset()
        options = [("grpc.enable_retries", 0), ("grpc.max_reconnect_backoff_ms", 500)]
        self._channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options) for port in targets]
        self._over = threading.Event()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(THREADS), options=[("grpc.so_reuseport", 0)]
        )
        self._server.add_generic_rpc_handlers([_Handlers(self)])
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    @property
    def broken(self) -> bool:
        """Whether a fault lasts."""
        return bool(self.dropped or self.unheard or self.repeated)

    def heal(self) -> None:
        """Forward everything again."""
        self.dropped = self.unheard = self.repeated = frozenset()

    def close(self) -> None:
        """Stop serving."""
        self._over.set()
        self._server.stop(0)
        for channel in self._channels:
            channel.close()

    def unary(self, method: str) -> Callable[[bytes, Any], bytes]:
        """The behaviour for a call of one request and one answer."""
        name = method.rpartition("/")[2]

        def call(request: bytes, context: Any) -> bytes:
            seconds = context.time_remaining() or 10.0
            if name in self.dropped:
                self._lose(context, seconds)
            if name in self.repeated:
                self._repeat(method, request, context.invocation_metadata())
            answer = self._send(method, request, context, seconds)
            if name in self.unheard:
                self._lose(context, seconds)
            return answer

        return call

    def streamed_answer(self, method: str) -> Any:
        """The behaviour for a call whose answer comes in parts."""
        return lambda request, context: self._channel().unary_stream(method)(
            request, timeout=context.time_remaining(), metadata=_told(context)
        )

    def streamed_request(self, method: str) -> Any:
        """The behaviour for a call whose request comes in parts."""

        def call(requests: Any, context: Any) -> Any:
            forward = self._channel().stream_unary(method)
            return self._tried(
                context,
                lambda: forward(
                    requests, timeout=context.time_remaining(), metadata=_told(context)
                ),
            )

        return call

    def _send(self, method: str, request: bytes, context: Any, seconds: float) -> Any:
        forward = self._channel().unary_unary(method)
        return self._tried(
            context, lambda: forward(request, timeout=seconds, metadata=_told(context))
        )

    def _tried(self, context: Any, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata() or ())
            context.abort(error.code(), error.details() or "")

    def _lose(self, context: Any, seconds: float) -> None:
        """Say nothing until the caller has given up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and context.is_active() and not self._over.wait(0.05):
            pass
        context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

    def _repeat(self, method: str, request: bytes, metadata: Any) -> None:
        def again() -> None:
            if self._over.wait(random.uniform(1.0, 2.5)):
                return
            forward = self._channel().unary_unary(method)
            try:
                forward(request, timeout=5, metadata=_plain(metadata))
            except (grpc.RpcError, ValueError):
                # Nobody waits for this answer.
                return

        threading.Thread(target=again, daemon=True).start()

    def _channel(self) -> grpc.Channel:
        return random.choice(self._channels)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = str(details.method)
        name = method.rpartition("/")[2]
        if name in STREAMED_ANSWERS:
            return grpc.unary_stream_rpc_method_handler(self._sidecar.streamed_answer(method))
        if name in STREAMED_REQUESTS:
            return grpc.stream_unary_rpc_method_handler(self._sidecar.streamed_request(method))
        return grpc.unary_unary_rpc_method_handler(self._sidecar.unary(method))


def _told(context: Any) -> list[tuple[str, str]]:
    return _plain(context.invocation_metadata())


def _plain(metadata: Any) -> list[tuple[str, str]]:
    """What the caller itself said; the rest is the transport's."""
    return [(key, value) for key, value in metadata if key == "authorization"]
