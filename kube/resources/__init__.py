"""The custom resources of ``daef.io/v1alpha1``: types, descriptions, bounds and rules.

Everything about them is written here once. ``python -m kube.crds`` makes the
CustomResourceDefinitions and the page of reference from it; ``kube.resources.rest`` writes a spec
as a body of REST.
"""

from kube.resources.aijob import AIJobSpec
from kube.resources.aijob_status import AIJobStatus
from kube.resources.aiworkerpool import AIWorkerPoolSpec, AIWorkerPoolStatus
from kube.resources.conditions import Condition, ConditionType
from kube.resources.executionpolicy import ExecutionPolicySpec, ExecutionPolicyStatus
from kube.resources.kinds import (
    AI_JOB,
    AI_WORKER_POOL,
    API_VERSION,
    EXECUTION_POLICY,
    GROUP,
    KINDS,
    MODEL_ENDPOINT,
    TENANT_LABEL,
    TENANT_QUOTA,
    VERSION,
    Kind,
)
from kube.resources.modelendpoint import DeclaredStatus, ModelEndpointSpec
from kube.resources.tenantquota import TenantQuotaSpec

__all__ = [
    "AI_JOB",
    "AI_WORKER_POOL",
    "API_VERSION",
    "EXECUTION_POLICY",
    "GROUP",
    "KINDS",
    "MODEL_ENDPOINT",
    "TENANT_LABEL",
    "TENANT_QUOTA",
    "VERSION",
    "AIJobSpec",
    "AIJobStatus",
    "AIWorkerPoolSpec",
    "AIWorkerPoolStatus",
    "Condition",
    "ConditionType",
    "DeclaredStatus",
    "ExecutionPolicySpec",
    "ExecutionPolicyStatus",
    "Kind",
    "ModelEndpointSpec",
    "TenantQuotaSpec",
]
