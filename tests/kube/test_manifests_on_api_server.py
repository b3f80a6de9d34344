"""The manifests on a real kube-apiserver; skipped where KUBEBUILDER_ASSETS names none."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kube.manifests import NAMESPACE, Document, built, development, name_of, named, pods
from tests.kube.real_api_server import Cluster, running

DEADLINE_SECONDS = 30


@pytest.fixture(scope="module")
def installed(assets) -> Iterator[Cluster]:
    """An API server that has the whole of `config/default`, as the install guide applies it."""
    with running(assets) as cluster:
        applied = cluster.kubectl("apply", "--server-side", "-k", "config/default")
        assert applied.returncode == 0, applied.stderr
        # A warning would be a pod that the namespace's Pod Security refuses.
        assert applied.stderr == ""
        yield cluster


def apply(
    cluster: Cluster, documents: list[Any], *options: str
) -> subprocess.CompletedProcess[str]:
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    return cluster.kubectl("apply", "--server-side", *options, "-f", "-", text=json.dumps(listed))


def test_applying_it_again_changes_nothing(installed: Cluster):
    before = installed.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "json").stdout
    again = installed.kubectl("apply", "--server-side", "-k", "config/default")
    assert (again.returncode, again.stderr) == (0, "")
    after = installed.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "json").stdout
    assert generations(before) == generations(after)


def generations(listed: str) -> dict[str, int]:
    return {name_of(each): each["metadata"]["generation"] for each in json.loads(listed)["items"]}


def test_the_overlays_are_accepted(installed: Cluster):
    for documents in (development(), built("overlays/production")):
        tried = apply(installed, documents, "--dry-run=server", "--force-conflicts")
        assert (tried.returncode, tried.stderr) == (0, "")


def test_pod_security_admits_every_pod_of_the_manifests_and_no_other(installed: Cluster):
    for pod in pods(development()):
        made = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "tried", "namespace": NAMESPACE, "labels": pod.labels},
            "spec": pod.spec,
        }
        tried = apply(installed, [made], "--dry-run=server")
        assert (tried.returncode, tried.stderr) == (0, ""), pod.name
        made["spec"] = {**pod.spec, "securityContext": {}}
        refused = apply(installed, [made], "--dry-run=server")
        assert refused.returncode == 1
        assert 'violates PodSecurity "restricted:latest"' in refused.stderr


def job(namespace: str, tenant: str) -> Document:
    return {
        "apiVersion": "daef.io/v1alpha1",
        "kind": "AIJob",
        "metadata": {"name": "greeting", "namespace": namespace},
        "spec": {"type": "Chat", "input": "Say hello.", "tenantName": tenant},
    }


@pytest.fixture
def try_job(installed: Cluster) -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Tries to make a job for a tenant in a namespace: "acme" is labelled, "plain" is not."""
    spaces = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        }
        for name, labels in (("acme", {"daef.io/tenant": "acme"}), ("plain", {}))
    ]
    assert apply(installed, spaces).returncode == 0
    # The policy takes hold a moment after it was written.
    deadline = time.monotonic() + DEADLINE_SECONDS
    while apply(installed, [job("acme", "other")], "--dry-run=server").returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return lambda namespace, tenant: apply(installed, [job(namespace, tenant)], "--dry-run=server")


def test_a_namespace_has_jobs_of_its_own_tenant_only(try_job):
    assert try_job("acme", "acme").returncode == 0
    for other in ("other", "default"):
        refused = try_job("acme", other)
        assert refused.returncode == 1
        assert f"spec.tenantName: is {other}, but namespace acme works for acme" in refused.stderr


def test_a_namespace_without_the_label_works_for_the_tenant_default(try_job):
    assert try_job("plain", "default").returncode == 0
    refused = try_job("plain", "acme")
    assert "spec.tenantName: is acme, but namespace plain works for default" in refused.stderr
    assert "kubectl label --overwrite namespace plain daef.io/tenant=acme" in refused.stderr


def test_a_job_whose_namespace_has_changed_hands_can_still_be_changed_and_deleted(
    installed: Cluster, try_job
):
    assert apply(installed, [job("acme", "acme")]).returncode == 0
    installed.kubectl("label", "--overwrite", "namespace", "acme", "daef.io/tenant=other")
    try:
        patch = '{"metadata":{"finalizers":[]},"spec":{"cancel":true}}'
        options = ("-n", "acme", "--type", "merge", "-p", patch)
        changed = installed.kubectl("patch", "aijob", "greeting", *options)
        assert changed.returncode == 0, changed.stderr
        assert installed.kubectl("delete", "aijob", "greeting", "-n", "acme").returncode == 0
    finally:
        installed.kubectl("label", "--overwrite", "namespace", "acme", "daef.io/tenant=acme")


def test_editors_of_a_namespace_write_jobs_and_read_what_became_of_them(installed: Cluster):
    allowed = {
        ("create", "aijobs"): True,
        ("patch", "aiworkerpools", "scale"): True,
        ("get", "modelendpoints", "status"): True,
        ("create", "modelendpoints"): False,
        ("create", "aiworkerpools"): False,
        ("patch", "aijobs", "status"): False,
        ("update", "executionpolicies"): False,
        ("get", "tenantquotas"): False,
    }
    edit = named(built("default"), "ClusterRole", "daef-edit")
    view = named(built("default"), "ClusterRole", "daef-view")
    for role in (edit, view):
        installed.kubectl(
            *("create", "clusterrolebinding", f"try-{name_of(role)}", "--user=editor"),
            f"--clusterrole={name_of(role)}",
        )
    for (verb, resource, *sub), expected in allowed.items():
        asked = ("auth", "can-i", verb, resource, "--as=editor", "-n", "acme")
        told = installed.kubectl(*asked, *(f"--subresource={each}" for each in sub))
        assert told.stdout.strip() == ("yes" if expected else "no"), (verb, resource, sub)


def test_the_operator_makes_agents_in_a_tenants_namespace_and_nowhere_else(
    installed: Cluster, try_job
):
    applied = installed.kubectl(
        "apply", "--server-side", "--force-conflicts", "-k", "config/tenant"
    )
    assert (applied.returncode, applied.stderr) == (0, "")
    operator = f"--as=system:serviceaccount:{NAMESPACE}:daef-operator"
    everywhere = {
        ("watch", "aijobs.daef.io"): True,
        ("update", "aijobs.daef.io/status"): True,
        ("watch", "deployments.apps"): True,
        ("get", "configmaps"): True,
        ("list", "configmaps"): False,
        ("get", "secrets"): False,
        ("delete", "deployments.apps"): False,
    }
    bound = {("create", "deployments.apps"): True, ("patch", "pods"): True}
    unbound = dict.fromkeys(bound, False)
    for namespace, expected in (("acme", everywhere | bound), ("plain", everywhere | unbound)):
        for (verb, what), may in expected.items():
            resource, _, part = what.partition("/")
            sub = (f"--subresource={part}",) if part else ()
            told = installed.kubectl(
                "auth", "can-i", verb, resource, operator, "-n", namespace, *sub
            )
            assert told.stdout.strip() == ("yes" if may else "no"), (namespace, verb, what)
