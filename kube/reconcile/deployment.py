"""The Deployment of a pool's agents."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from kube.resources import API_VERSION, AIWorkerPoolSpec

HASH = "daef.io/template-hash"
"""The annotation with what was asked for last: what a cluster adds by itself is left alone."""

SPARE_SECONDS = 15
"""What an agent gets beyond its tasks' time, to hand back and to say goodbye."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Agents:
    """What the operator's settings say about agents."""

    control_plane: str
    image: str


def deployment_name(pool: str) -> str:
    """The Deployment of the pool."""
    return f"daef-pool-{pool}"


def labels(pool: str) -> dict[str, str]:
    """The labels of the pool's pods, by which network policies and disruption budgets find them."""
    return {
        "app.kubernetes.io/name": "daef",
        "app.kubernetes.io/component": "agent",
        "app.kubernetes.io/managed-by": "daef-operator",
        "daef.io/pool": pool,
    }


def selector(pool: str) -> str:
    """The same as a selector, for the scale subresource."""
    return ",".join(f"{name}={value}" for name, value in labels(pool).items())


def deployment(resource: Object, spec: AIWorkerPoolSpec, agents: Agents) -> Object:
    """The Deployment that the pool asks for."""
    pool = resource["metadata"]["name"]
    body = {
        "revisionHistoryLimit": 5,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1},
        },
        "selector": {"matchLabels": labels(pool)},
        "template": {"metadata": {"labels": labels(pool)}, "spec": _pod(pool, spec, agents)},
    }
    text = json.dumps(body, sort_keys=True).encode()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(pool),
            "namespace": resource["metadata"]["namespace"],
            "labels": labels(pool),
            "annotations": {HASH: hashlib.sha256(text).hexdigest()[:32]},
            "ownerReferences": [owner_of(resource)],
        },
        "spec": {"replicas": spec.replicas, **body},
    }


def change_of(found: Object, wanted: Object) -> Object | None:
    """What has to be laid over the Deployment that is there; None where nothing has."""
    same = (
        found["metadata"].get("annotations", {}).get(HASH)
        == wanted["metadata"]["annotations"][HASH]
    )
    if not same:
        return {"metadata": wanted["metadata"], "spec": wanted["spec"]}
    if found["spec"].get("replicas") != wanted["spec"]["replicas"]:
        return {"spec": {"replicas": wanted["spec"]["replicas"]}}
    return None


def is_owned(found: Object, resource: Object) -> bool:
    """Whether the Deployment is this pool's."""
    owners = found["metadata"].get("ownerReferences", ())
    return any(each["uid"] == resource["metadata"]["uid"] for each in owners)


def owner_of(resource: Object) -> Object:
    """The reference by which what is made for a resource goes away with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": resource["kind"],
        "name": resource["metadata"]["name"],
        "uid": resource["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _pod(pool: str, spec: AIWorkerPoolSpec, agents: Agents) -> Object:
    volumes, mounts = _volumes(spec)
    pod: Object = {
        "automountServiceAccountToken": False,
        # Links to services would put DAEF_CONTROL_PLANE_PORT and the like among the settings.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": spec.drain_seconds + SPARE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread(pool, "topology.kubernetes.io/zone"),
            _spread(pool, "kubernetes.io/hostname"),
        ],
        "containers": [_container(pool, spec, agents, mounts)],
        "volumes": volumes,
    }
    if spec.node_selector:
        pod["nodeSelector"] = spec.node_selector
    if spec.tolerations:
        pod["tolerations"] = [_given(each) for each in spec.tolerations]
    return pod


def _spread(pool: str, topology: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(pool)},
    }


def _container(pool: str, spec: AIWorkerPoolSpec, agents: Agents, mounts: list[Object]) -> Object:
    live = {"path": "/healthz", "port": "probes"}
    return {
        "name": "agent",
        "image": spec.image or agents.image,
        "command": ["python", "-m", "workeragent"],
        "env": _environment(pool, spec, agents),
        "ports": [{"name": "probes", "containerPort": 8082}],
        "startupProbe": {
            "httpGet": live,
            "periodSeconds": 2,
            "timeoutSeconds": 3,
            "failureThreshold": 60,
        },
        "livenessProbe": {
            "httpGet": live,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "probes"},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 2,
        },
        "resources": _given(spec.resources) if spec.resources else RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


RESOURCES: Object = {
    "requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "64Mi"},
    "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "1Gi"},
}
"""Where a pool names none: what the embedded models need."""


def _environment(pool: str, spec: AIWorkerPoolSpec, agents: Agents) -> list[Object]:
    plain = {
        "DAEF_CONTROL_PLANE": agents.control_plane,
        "DAEF_POOL": pool,
        "DAEF_SLOTS": str(spec.slots),
        "DAEF_DRAIN_SECONDS": str(spec.drain_seconds),
        "DAEF_PROBE_ADDR": ":8082",
        "DAEF_DATA_DIR": "/var/lib/daef-data/fabric",
        "DAEF_AGENT_TOKEN_FILE": f"/etc/daef/agent/{spec.token_secret_ref.key}",
        "DAEF_TLS_CA_FILE": f"/etc/daef/ca/{spec.authority_config_map_ref.key}",
    }
    if spec.client_certificate:
        plain["DAEF_TLS_CERT_FILE"] = "/etc/daef/certificate/tls.crt"
        plain["DAEF_TLS_KEY_FILE"] = "/etc/daef/certificate/tls.key"
    keys = [
        {
            "name": f"DAEF_MODEL_KEY_{each.name}",
            "valueFrom": {
                "secretKeyRef": {"name": each.secret_key_ref.name, "key": each.secret_key_ref.key}
            },
        }
        for each in spec.model_keys
    ]
    return [*({"name": name, "value": value} for name, value in plain.items()), *keys]


def _volumes(spec: AIWorkerPoolSpec) -> tuple[list[Object], list[Object]]:
    token, authority = spec.token_secret_ref.name, spec.authority_config_map_ref.name
    given: list[tuple[str, str, Object]] = [
        ("data", "/var/lib/daef-data", {"emptyDir": {"sizeLimit": "64Mi"}}),
        ("temporary", "/tmp", {"emptyDir": {"sizeLimit": "512Mi"}}),  # noqa: S108 # nosec B108
        ("token", "/etc/daef/agent", {"secret": {"secretName": token, "defaultMode": 0o440}}),
        ("authority", "/etc/daef/ca", {"configMap": {"name": authority}}),
    ]
    if spec.client_certificate:
        secret = {"secretName": spec.client_certificate.secret_name, "defaultMode": 0o440}
        given.append(("certificate", "/etc/daef/certificate", {"secret": secret}))
    volumes = [{"name": name, **source} for name, _, source in given]
    mounts: list[Object] = [
        {"name": name, "mountPath": path, **({} if "emptyDir" in source else {"readOnly": True})}
        for name, path, source in given
    ]
    return volumes, mounts


def _given(part: Any) -> Object:
    names = zip(part.__struct_fields__, part.__struct_encode_fields__, strict=True)
    values = {shown: getattr(part, name) for name, shown in names}
    return {name: value for name, value in values.items() if value is not None}
