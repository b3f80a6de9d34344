"""Pods are confined, spread, and selected by their own labels; roles hold what they need."""

import re

import yaml

from kube.resources import KINDS
from tests.architecture.test_documentation import read
from tests.kube.manifests import (
    NAMESPACE,
    ROOT,
    Document,
    Pod,
    name_of,
    named,
    of_kind,
    pods,
    selected,
    variables,
)
from tests.kube.overlays import OVERLAYS, documents, made, ours

__all__ = ["documents", "made"]

ALLOWED_VOLUMES = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}

# ── confinement ───────────────────────────────────────────────────────────────────────────────────


def test_the_namespace_admits_restricted_pods_only(documents):
    labels = named(documents, "Namespace", NAMESPACE)["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_every_pod_is_restricted(documents):
    for pod in pods(documents):
        assert unrestricted(pod) == [], pod.name


def unrestricted(pod: Pod) -> list[str]:
    """What the Pod Security Standard "restricted" would refuse, and a writable root besides."""
    found = [f"{name} is set" for name in pod.spec if name.startswith("host")]
    context = pod.spec["securityContext"]
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        found.append("may run as root")
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("has no seccomp profile")
    for volume in pod.spec.get("volumes", []):
        found += [f"volume {kind}" for kind in set(volume) - {"name"} - ALLOWED_VOLUMES]
    for container in pod.containers:
        found += [f"{container['name']}: {each}" for each in unconfined(container)]
    return found


def unconfined(container: Document) -> list[str]:
    context = container.get("securityContext", {})
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return [name for name, value in wanted.items() if context.get(name) != value] + [
        name for name in context if name not in wanted
    ]


def test_a_pod_that_is_not_restricted_is_found(made):
    workload = yaml.safe_load(yaml.safe_dump(ours(made["default"])[0].workload))
    pod = Pod(workload)
    pod.spec["hostNetwork"] = True
    pod.spec["securityContext"]["runAsUser"] = 0
    pod.spec["volumes"].append({"name": "machine", "hostPath": {"path": "/"}})
    pod.containers[0]["securityContext"]["capabilities"] = {"drop": ["ALL"], "add": ["NET_RAW"]}
    assert len(unrestricted(pod)) == 4


def test_only_the_operator_has_a_token_of_kubernetes(documents):
    for pod in pods(documents):
        is_operator = pod.labels.get("app.kubernetes.io/component") == "operator"
        assert pod.spec["automountServiceAccountToken"] is is_operator, pod.name


def test_kubernetes_puts_no_variables_of_its_own_among_the_settings(documents):
    assert [pod.name for pod in pods(documents) if pod.spec["enableServiceLinks"]] == []


def test_every_container_says_what_it_needs_and_may_take(documents):
    for pod in pods(documents):
        for container in pod.containers:
            for part in ("requests", "limits"):
                stated = set(container["resources"][part])
                assert stated == {"cpu", "memory", "ephemeral-storage"}, container["name"]


# ── selectors ─────────────────────────────────────────────────────────────────────────────────────


def test_every_workload_selects_its_own_pods_and_nobody_elses(documents):
    for pod in pods(documents):
        taken = [
            each.name
            for each in pods(documents)
            if selected(pod.workload["spec"]["selector"], each.labels)
        ]
        assert taken == [pod.name]


def test_every_service_leads_to_one_workload_at_a_port_that_it_has(documents):
    for service in of_kind(documents, "Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        [pod] = [each for each in pods(documents) if selected(selector, each.labels)]
        assert pod.name == name_of(service)
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in pod.ports


def test_every_workload_of_ours_has_a_disruption_budget_that_lets_nodes_drain(documents):
    for pod in ours(documents):
        [budget] = [
            each
            for each in of_kind(documents, "PodDisruptionBudget")
            if selected(each["spec"]["selector"], pod.labels)
        ]
        assert budget["spec"]["maxUnavailable"] == 1


def test_pods_spread_by_labels_of_their_own(documents):
    for pod in ours(documents):
        keys = set()
        for constraint in pod.spec["topologySpreadConstraints"]:
            assert selected(constraint["labelSelector"], pod.labels)
            assert constraint["labelSelector"] == pod.workload["spec"]["selector"]
            keys.add(constraint["topologyKey"])
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


def test_production_has_several_of_each_and_a_try_out_one(made):
    for pod in ours(made["production"]):
        assert pod.workload["spec"]["replicas"] >= 2
    for pod in ours(made["development"]):
        assert pod.workload["spec"]["replicas"] == 1


def test_sessions_of_all_gateways_and_control_planes_fit_a_usual_postgresql(made):
    for overlay in OVERLAYS:
        sessions = 0
        for pod in ours(made[overlay]):
            told = variables(pod.spec["containers"][0], made[overlay])
            if "DAEF_POSTGRES_POOL_MAX" in told:
                most = int(told["DAEF_POSTGRES_POOL_MAX"])
                sessions += most * pod.workload["spec"]["replicas"]
        assert 0 < sessions <= 97, overlay


# ── rights ────────────────────────────────────────────────────────────────────────────────────────


def rules(documents: list[Document], *kinds: str) -> list[tuple[str, Document]]:
    return [(name_of(role), rule) for role in of_kind(documents, *kinds) for rule in role["rules"]]


def test_no_role_has_a_wildcard(documents):
    for name, rule in rules(documents, "Role", "ClusterRole"):
        words = [word for part in rule.values() for word in part]
        assert not [word for word in words if "*" in word], name
        assert "nonResourceURLs" not in rule, name


def test_every_binding_names_a_role_and_an_account_that_there_are(documents):
    roles = {(each["kind"], name_of(each)) for each in of_kind(documents, "Role", "ClusterRole")}
    accounts = {name_of(each) for each in of_kind(documents, "ServiceAccount")}
    for binding in of_kind(documents, "RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles
        for subject in binding["subjects"]:
            assert subject["name"] in accounts
            assert subject["namespace"] == NAMESPACE
    assert {pod.spec["serviceAccountName"] for pod in ours(documents)} == accounts


def test_nobody_but_the_operator_writes_a_status(documents):
    for name, rule in rules(documents, "Role", "ClusterRole"):
        statuses = [each for each in rule["resources"] if each.endswith(("/status", "/finalizers"))]
        if statuses and not name.startswith("daef-operator"):
            assert set(rule["verbs"]) <= {"get", "list", "watch"}, name


def test_built_in_roles_take_up_what_a_tenant_may_do_and_no_limits(documents):
    def aggregated(to: str) -> set[tuple[str, str]]:
        label = f"rbac.authorization.k8s.io/aggregate-to-{to}"
        return {
            (resource, verb)
            for role in of_kind(documents, "ClusterRole")
            if role["metadata"].get("labels", {}).get(label) == "true"
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    assert {verb for _, verb in aggregated("view")} == {"get", "list", "watch"}
    assert ("aijobs", "create") in aggregated("edit")
    assert {("aiworkerpools", "create"), ("aiworkerpools", "patch")}.isdisjoint(aggregated("edit"))
    assert aggregated("view") < aggregated("edit") == aggregated("admin")
    limits = {"executionpolicies", "tenantquotas"}
    assert not limits & {resource.partition("/")[0] for resource, _ in aggregated("admin")}
    admin = named(documents, "ClusterRole", "daef-admin")
    assert limits <= {each for rule in admin["rules"] for each in rule["resources"]}


# ── the operator ──────────────────────────────────────────────────────────────────────────────────


def granted(documents: list[Document]) -> set[tuple[str, str, str]]:
    """Group, resource and verb of everything that the operator is allowed somewhere."""
    bound = {
        (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for binding in of_kind(documents, "RoleBinding", "ClusterRoleBinding")
        if binding["subjects"][0]["name"] == "daef-operator"
    }
    return {
        (group, resource, verb)
        for role in of_kind(documents, "Role", "ClusterRole")
        if (role["kind"], name_of(role)) in bound
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def documented() -> set[tuple[str, str, str]]:
    """The same by the table in the operator's page."""
    page = read(ROOT / "docs" / "architecture" / "kubernetes-crd-native.md")
    table = page.partition("## What it may do in the cluster")[2].partition("\n## ")[0]
    found = set()
    for line in table.splitlines():
        if cells := re.fullmatch(r"\| (.+?) \| (.+?) \| ([a-z, ]+) \|", line):
            group = "" if cells[1] == "core" else cells[1].strip("`")
            resources = re.findall(r"`([a-z/]+)`", cells[2])
            if "the five with" in cells[2]:
                resources = [f"{kind.plural}{resources[0]}" for kind in KINDS]
            found |= {(group, each, verb) for each in resources for verb in cells[3].split(", ")}
    return found


def test_the_operator_may_do_what_its_page_says_and_nothing_else(documents):
    assert len(documented()) > 30
    assert granted(documents) == documented()


def test_the_operator_makes_things_only_in_namespaces_that_are_bound_to_it(documents):
    cluster = named(documents, "ClusterRole", "daef-operator")
    for rule in cluster["rules"]:
        if rule["apiGroups"] != ["daef.io"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch"} or rule["resources"] == ["events"]
    assert not [each for each in granted(documents) if each[1] == "secrets"]


def test_the_operator_gives_pools_its_own_image(documents):
    [pod] = [each for each in ours(documents) if each.name == "daef-operator"]
    [container] = pod.containers
    assert variables(container, documents)["DAEF_AGENT_IMAGE"] == container["image"]


def test_the_lease_that_the_operator_may_write_keeps_its_name(documents):
    role = named(documents, "Role", "daef-operator-leader-election")
    [narrow] = [rule for rule in role["rules"] if "resourceNames" in rule]
    assert narrow["resourceNames"] == ["daef-operator"]
