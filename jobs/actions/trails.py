"""How the requests of this package are recorded by ``access.actions.audited``."""

from access.actions.audited import Trail, Verdict
from access.actors import OPERATOR, Actor
from audit.events import Action, Origin, Result
from audit.recorder import Detail
from jobs.failures import as_daef_error
from jobs.models import Job
from jobs.states import job_name


def verdict(error: Exception) -> Verdict:
    """Return what an exception means, as the doors will tell it."""
    told = as_daef_error(error)
    return Verdict(told.code, refused=told.http_status < 500)


class JobTrail(Trail):
    """A request about one job. Tenants' own requests leave their mark in the job's events only."""

    def __init__(self, action: Action, actor: Actor, origin: Origin, job_id: int) -> None:
        super().__init__(action, actor, origin, target=job_name(job_id))
        self.job_id = job_id

    def _record(self, result: Result, details: dict[str, Detail]) -> int:
        if not self.actor.may(OPERATOR):
            return 0
        tenants = Job.objects.filter(pk=self.job_id).values_list("tenant__name", flat=True)
        self.tenant = tenants.first() or ""
        return super()._record(result, details)
