"""The console's pages about jobs, workers and what they run under; importing registers them."""

from jobs.admin import job_admin, settings_admin, worker_admin

__all__ = ["job_admin", "settings_admin", "worker_admin"]
