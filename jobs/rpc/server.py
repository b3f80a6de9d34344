"""The gRPC server: WorkerService and JobService, health and reflection."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from django.conf import settings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from jobs.rpc.doors import DoorInterceptor
from jobs.rpc.job_service import JobService
from jobs.rpc.worker_service import WorkerService
from proto.daef.v1 import job_pb2, job_pb2_grpc, worker_pb2, worker_pb2_grpc

THREADS = 24
"""Calls served at once; settlements of more agents than that wait and are then combined."""

OPTIONS = [
    # Without this a second server would silently share the port.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 8 * 2**20),
    ("grpc.max_send_message_length", 8 * 2**20),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


def serve(address: str) -> grpc.Server:
    """Start serving on ``host:port`` and return the running server.

    Raises RuntimeError when the port is taken.
    """
    server = grpc.server(
        ThreadPoolExecutor(THREADS, thread_name_prefix="rpc"),
        interceptors=[DoorInterceptor()],
        options=OPTIONS,
    )
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerService(), server)
    job_pb2_grpc.add_JobServiceServicer_to_server(JobService(), server)
    _add_health(server)
    if _bind(server, address) == 0:
        raise RuntimeError(f"cannot listen on {address}; is another process using it?")
    server.start()
    return server


def _add_health(server: grpc.Server) -> None:
    names = [
        worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name,
        job_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    ]
    servicer = health.HealthServicer()
    for name in ["", *names]:
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )


def _bind(server: grpc.Server, address: str) -> int:
    if not settings.DAEF_TLS_CERT_FILE:
        return int(server.add_insecure_port(address))
    credentials = grpc.ssl_server_credentials(
        [
            (
                Path(settings.DAEF_TLS_KEY_FILE).read_bytes(),
                Path(settings.DAEF_TLS_CERT_FILE).read_bytes(),
            )
        ],
        root_certificates=(
            Path(settings.DAEF_TLS_CA_FILE).read_bytes() if settings.DAEF_TLS_CA_FILE else None
        ),
        require_client_auth=bool(settings.DAEF_TLS_CA_FILE),
    )
    return int(server.add_secure_port(address, credentials))
