"""The console's pages about jobs, workers and what they run under; importing registers them."""

from jobs.admin import (
    job_admin,
    pool_admin,
    settings_admin,
    tenant_admin,
    token_admin,
    worker_admin,
)

__all__ = [
    "job_admin",
    "pool_admin",
    "settings_admin",
    "tenant_admin",
    "token_admin",
    "worker_admin",
]
