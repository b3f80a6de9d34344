"""``TenantQuota``: a tenant's share and its limit."""

from typing import Annotated, ClassVar

import msgspec

from kube.resources.conditions import ready
from kube.resources.fields import Rule, in_rest, number


class TenantQuotaSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The tenant of the resource's name."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    weight: Annotated[
        int,
        number(
            "The tenant's share of agents in hundredths: 200 gets twice as much as 100.",
            1,
            1_000_000,
            in_rest("weight"),
        ),
    ] = 100
    max_running_tasks: (
        Annotated[
            int,
            number(
                "Most tasks of the tenant that run at once in each pool.",
                1,
                1_000_000,
                in_rest("max_running_tasks"),
            ),
        ]
        | None
    ) = None


QUOTA_CONDITIONS = (ready("The fabric has the tenant as the spec says."),)
