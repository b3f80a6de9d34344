"""The console's pages about jobs, workers and what they run under; importing registers them."""

from jobs.admin import (
    audit_admin,
    dead_letter_admin,
    job_admin,
    pool_admin,
    settings_admin,
    task_admin,
    tenant_admin,
    token_admin,
    worker_admin,
)

__all__ = [
    "audit_admin",
    "dead_letter_admin",
    "job_admin",
    "pool_admin",
    "settings_admin",
    "task_admin",
    "tenant_admin",
    "token_admin",
    "worker_admin",
]
