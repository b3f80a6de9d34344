"""The manifests are what Kubernetes expects, and name only what the product has."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from daef_site import VERSION
from probes.serving import PATHS
from tests.architecture.test_documentation import REFERENCE, first_column, read
from tests.kube.manifests import (
    CONFIG,
    NAMESPACE,
    ROOT,
    Document,
    built,
    make_secrets,
    mounts,
    name_of,
    named,
    of_kind,
    plain,
    pods,
    selected,
    variables,
)
from tests.kube.overlays import documents, made, ours

__all__ = ["documents", "made"]

CLUSTER_WIDE = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def problems(document: Document) -> list[str]:
    """What a strict validation against Kubernetes' own schemas finds."""
    return found_in(json.dumps(document, sort_keys=True))


@cache
def found_in(text: str) -> list[str]:
    """The same, once for what several overlays have."""
    document = json.loads(text)
    try:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{document['kind']}/{name_of(document)}: {error.message}"]
    return []


# ── form ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_document_is_what_kubernetes_expects(documents):
    assert [each for document in documents for each in problems(document)] == []


def test_a_tenants_namespace_is_what_kubernetes_expects_and_bound_to_a_role_that_there_is(made):
    tenant = built("tenant")
    assert [each for document in tenant for each in problems(document)] == []
    [space] = of_kind(tenant, "Namespace")
    assert space["metadata"]["labels"]["daef.io/tenant"] == "acme"
    [binding] = of_kind(tenant, "RoleBinding")
    assert binding["metadata"]["namespace"] == name_of(space)
    assert named(made["default"], "ClusterRole", binding["roleRef"]["name"])
    [account] = binding["subjects"]
    assert named(made["default"], "ServiceAccount", account["name"])
    assert account["namespace"] == NAMESPACE


def test_a_word_that_kubernetes_does_not_know_is_found(made):
    document = yaml.safe_load(yaml.safe_dump(ours(made["default"])[0].workload))
    document["spec"]["replica"] = 2
    assert "replica" in str(problems(document))


def test_what_belongs_to_the_cluster_has_no_namespace_and_all_else_is_in_ours(documents):
    for document in documents:
        expected = None if document["kind"] in CLUSTER_WIDE else NAMESPACE
        assert document["metadata"].get("namespace") == expected, name_of(document)


def test_the_rules_for_the_prometheus_operator_are_those_of_prometheus():
    [rule] = of_kind(built("prometheus"), "PrometheusRule")
    alerts = yaml.safe_load(read(CONFIG / "prometheus" / "alerts.yml"))
    assert rule["spec"]["groups"] == alerts["groups"]


def test_prometheus_asks_a_service_at_an_address_that_there_is(made):
    [monitor] = of_kind(built("prometheus"), "ServiceMonitor")
    [service] = [
        each
        for each in of_kind(made["default"], "Service")
        if selected(monitor["spec"]["selector"], each["metadata"]["labels"])
    ]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert resolve(endpoint["path"]).route
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "daef"


def test_prometheus_asks_the_operator_at_a_port_that_it_lets_in(made):
    [monitor] = of_kind(built("prometheus"), "PodMonitor")
    [pod] = [
        each for each in ours(made["default"]) if selected(monitor["spec"]["selector"], each.labels)
    ]
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in pod.ports
    policy = named(made["default"], "NetworkPolicy", pod.name)
    [rule] = policy["spec"]["ingress"]
    assert {"protocol": "TCP", "port": endpoint["port"]} in rule["ports"]


# ── what they call ────────────────────────────────────────────────────────────────────────────────


def test_every_image_is_the_release_or_one_that_compose_names_too(documents):
    compose = {
        each["image"] for each in yaml.safe_load(read(ROOT / "compose.yaml"))["services"].values()
    }
    for pod in pods(documents):
        for container in pod.containers:
            name, _, tag = container["image"].rpartition(":")
            if pod.is_ours():
                assert (name.rpartition("/")[2], tag) == ("daef", VERSION)
            else:
                assert container["image"] in compose


def test_our_pods_run_as_the_user_of_the_image(documents):
    [user] = re.findall(r"^USER (\d+):(\d+)$", read(ROOT / "Dockerfile"), re.MULTILINE)
    for pod in ours(documents):
        context = pod.spec["securityContext"]
        assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user
        assert context["fsGroup"] == context["runAsGroup"]


def test_every_command_is_one_of_the_product(documents):
    for pod in ours(documents):
        for container in pod.containers:
            python, first, second, *_ = container["command"]
            assert python == "python"
            if first == "manage.py":
                assert second in get_commands()
            else:
                assert first == "-m"
                assert (ROOT / second / "__main__.py").is_file(), second


def test_every_variable_is_a_setting(documents):
    page = read(REFERENCE / "settings.md")
    known = {name for name in first_column(page) if name.startswith("DAEF_")}
    secret = set(re.findall(r"^\| `(DAEF_[A-Z_]+)` \*secret\*", page, re.MULTILINE))
    allowed = known | {f"{name}_FILE" for name in secret}
    for pod in ours(documents):
        for container in pod.containers:
            used = {name for name in variables(container, documents) if name.startswith("DAEF_")}
            assert used <= allowed, container["name"]


def test_no_secret_stands_in_a_variable(documents):
    page = read(REFERENCE / "settings.md")
    secret = set(re.findall(r"^\| `(DAEF_[A-Z_]+)` \*secret\*", page, re.MULTILINE))
    for pod in ours(documents):
        for container in pod.containers:
            assert secret & set(variables(container, documents)) == set(), container["name"]


def test_every_file_that_a_variable_names_is_mounted_and_made(documents, secrets):
    for pod in ours(documents):
        for container in pod.containers:
            sources = {path: source_of(volume) for path, volume in mounts(pod, container)}
            for name, value in variables(container, documents).items():
                if name.endswith("_FILE"):
                    folder, _, file = value.rpartition("/")
                    assert file in secrets[sources[folder]], f"{container['name']}: {name}"


@pytest.fixture
def secrets(made: dict[str, list[Document]]) -> dict[str, set[str]]:
    """The keys that the script makes, by the secret or config map that the overlay puts them in."""
    return {
        plain(name_of(each)): set(each["data"])
        for each in of_kind(made["development"], "Secret", "ConfigMap")
    }


def source_of(volume: Document) -> str:
    if "secret" in volume:
        return plain(volume["secret"]["secretName"])
    return plain(volume["configMap"]["name"]) if "configMap" in volume else "nowhere"


def test_the_install_guide_makes_every_secret_from_what_the_script_writes(made, tmp_path: Path):
    guide = read(ROOT / "docs" / "guides" / "kubernetes-install.md")
    told = re.findall(
        r"^kubectl create (?:secret generic|secret tls|configmap) (\S+) (.+)$", guide, re.MULTILINE
    )
    mounted = {
        source_of(volume)
        for pod in ours(made["production"])
        for container in pod.containers
        for _, volume in mounts(pod, container)
    }
    assert {name for name, _ in told} - {"daef-metrics-token"} == mounted - {"nowhere"}
    folder = make_secrets(
        tmp_path / "secrets", POSTGRES_DSN="a", REDIS_URL="b", REDIS_AGENT_URL="c"
    )
    for _, sources in told:
        for source in re.findall(r"=secrets/(\S+)", sources):
            assert (folder / source).exists(), source
    assert (folder / "control-plane" / "redis-agent-url").read_text() == "c"


def test_nothing_has_a_secret_of_its_own_in_the_base(made):
    assert of_kind(made["default"], "Secret") == of_kind(made["production"], "Secret") == []


# ── ports and probes ──────────────────────────────────────────────────────────────────────────────


def test_every_port_of_ours_is_listened_on(documents):
    for pod in ours(documents):
        for container in pod.spec["containers"]:
            stated = {port["containerPort"] for port in container.get("ports", [])}
            listened = {
                int(value.rpartition(":")[2])
                for name, value in variables(container, documents).items()
                if name.endswith("_ADDR")
            }
            assert stated == listened, container["name"]


def test_every_container_that_stays_has_all_three_probes_at_its_own_ports(documents):
    for pod in pods(documents):
        for container in pod.spec["containers"]:
            probes = {name: container[name] for name in PROBES if name in container}
            assert {"livenessProbe", "readinessProbe"} <= set(probes), container["name"]
            for probe in probes.values():
                port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
                assert port is None or port in pod.ports


def test_every_probe_of_ours_asks_an_address_that_there_is(documents):
    for pod in ours(documents):
        [container] = pod.spec["containers"]
        for name in PROBES:
            request = container[name]["httpGet"]
            if container["name"] == "gateway":
                assert resolve(request["path"]).url_name == request["path"].strip("/")
            elif container["name"] != "operator":
                assert request["path"] in PATHS
            asked = "/readyz" if name == "readinessProbe" else "/healthz"
            assert request["path"] == asked


def test_the_gateway_serves_the_name_that_its_probes_use_and_the_pods_own_address(documents):
    [gateway] = [pod for pod in ours(documents) if pod.name == "daef-gateway"]
    [container] = gateway.containers
    allowed = variables(container, documents)["DAEF_ALLOWED_HOSTS"].split(",")
    for name in PROBES:
        [header] = container[name]["httpGet"]["httpHeaders"]
        assert header["name"] == "Host"
        assert header["value"] in allowed
    assert "127.0.0.1" in allowed
    assert "*" not in "".join(allowed)


def test_an_agent_and_the_operator_call_services_at_names_and_ports_that_there_are(documents):
    for pod in ours(documents):
        [container] = pod.spec["containers"]
        told = variables(container, documents)
        for name in ("DAEF_CONTROL_PLANE", "DAEF_URL"):
            if name in told:
                host, _, port = told[name].rpartition("/")[2].rpartition(":")
                service, namespace, kind = host.split(".")
                assert (namespace, kind) == (NAMESPACE, "svc")
                ports = named(documents, "Service", service)["spec"]["ports"]
                assert int(port) in {each["port"] for each in ports}


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def test_every_file_of_a_folder_is_in_its_kustomization():
    for kustomization in CONFIG.rglob("kustomization.yaml"):
        text = read(kustomization)
        for file in sorted(kustomization.parent.glob("*.yaml")):
            assert file == kustomization or file.name in text, f"{file} is left out"


def test_secrets_stay_out_of_the_repository_and_of_the_image():
    for name in (".gitignore", ".dockerignore"):
        assert "config/overlays/*/secrets" in read(ROOT / name)


def test_the_script_refuses_to_overwrite_secrets(made, tmp_path: Path):
    kept = tmp_path / "secrets"
    kept.mkdir()
    answer = subprocess.run(
        ["sh", str(CONFIG / "make-secrets.sh"), str(kept)], capture_output=True, text=True
    )
    assert answer.returncode == 1
    assert "is there already" in answer.stderr
    assert list(kept.iterdir()) == []
