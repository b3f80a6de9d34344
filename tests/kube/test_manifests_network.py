"""Who may call whom: closed by default, opened for what each kind of pod needs."""

from tests.kube.manifests import (
    NAMESPACE,
    Document,
    Pod,
    built,
    name_of,
    named,
    of_kind,
    pods,
    selected,
)
from tests.kube.overlays import documents, made, ours

__all__ = ["documents", "made"]


MAY_CALL = {
    "daef-gateway": {"names", "anywhere:5432", "anywhere:6379"},
    "daef-control-plane": {"names", "anywhere:5432", "anywhere:6379"},
    "daef-operator": {"names", "daef-gateway:http", "anywhere:443", "anywhere:6443"},
    "daef-agents": {"names", "daef-control-plane:grpc", "anywhere:6379", "anywhere:443"},
}


def policies(documents: list[Document], pod: Pod) -> list[Document]:
    return [
        each["spec"]
        for each in of_kind(documents, "NetworkPolicy")
        if selected(each["spec"]["podSelector"], pod.labels)
    ]


def test_every_pod_is_closed_in_both_directions_until_a_policy_opens_it(documents):
    denial = named(documents, "NetworkPolicy", "daef-default-deny")["spec"]
    assert denial == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for pod in pods(documents):
        own = [each for each in policies(documents, pod) if each["podSelector"]]
        assert {kind for each in own for kind in each["policyTypes"]} == {"Ingress", "Egress"}


def test_every_network_policy_is_about_pods_and_ports_that_there_are(documents):
    for policy in of_kind(documents, "NetworkPolicy"):
        spec = policy["spec"]
        taken = [pod for pod in pods(documents) if selected(spec["podSelector"], pod.labels)]
        assert taken, name_of(policy)
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                assert all(port["port"] in pod.ports for pod in taken), name_of(policy)


def test_each_kind_of_pod_reaches_what_it_needs_and_nothing_else(made):
    documents = made["default"]
    for pod in ours(documents):
        called = {
            target
            for spec in policies(documents, pod)
            for rule in spec.get("egress", [])
            for target in targets(rule, documents)
        }
        assert called == MAY_CALL[pod.name], pod.name


def targets(rule: Document, documents: list[Document]) -> list[str]:
    """Where a rule leads to, as ``pod:port``; ``anywhere`` never means the cloud's metadata."""
    ports = [each["port"] for each in rule["ports"]]
    found = []
    for peer in rule["to"]:
        if peer.get("podSelector", {}).get("matchLabels", {}).get("k8s-app") == "kube-dns":
            assert set(ports) == {53}
            return ["names"]
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            outer = {"0.0.0.0/0": "169.254.0.0/16", "::/0": "fd00:ec2::254/128"}
            assert outer[block["cidr"]] in block["except"]
            found.append("anywhere")
        else:
            assert "namespaceSelector" not in peer
            [pod] = [each for each in pods(documents) if selected(peer["podSelector"], each.labels)]
            assert set(ports) <= set(pod.ports)
            found.append(pod.name)
    return [f"{where}:{port}" for where in found for port in ports]


def test_agents_in_a_tenants_namespace_reach_what_those_in_ours_do(made):
    [theirs] = of_kind(built("tenant"), "NetworkPolicy")
    ours_ = named(made["default"], "NetworkPolicy", "daef-agents")
    names = named(made["default"], "NetworkPolicy", "daef-names")["spec"]["egress"]
    assert theirs["spec"]["podSelector"] == ours_["spec"]["podSelector"]
    control_plane, *outside = ours_["spec"]["egress"]
    [peer] = control_plane["to"]
    inside = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
    there = {"ports": control_plane["ports"], "to": [{**inside, **peer}]}
    assert theirs["spec"]["egress"] == [*names, there, *outside]


def test_production_reaches_its_stores_at_their_own_addresses_only(made):
    for name in ("daef-gateway", "daef-control-plane"):
        spec = named(made["production"], "NetworkPolicy", name)["spec"]
        blocks = [peer["ipBlock"]["cidr"] for rule in spec["egress"] for peer in rule["to"]]
        assert "0.0.0.0/0" not in blocks


def test_every_pod_that_is_called_lets_its_callers_in(documents):
    for caller in ours(documents):
        for spec in policies(documents, caller):
            for rule in spec.get("egress", []):
                for target in targets(rule, documents) if inside(rule) else []:
                    name, _, port = target.rpartition(":")
                    assert admits(documents, name, port, caller), f"{caller.name} → {target}"


def inside(rule: Document) -> bool:
    return all("ipBlock" not in peer and "namespaceSelector" not in peer for peer in rule["to"])


def admits(documents: list[Document], name: str, port: str, caller: Pod) -> bool:
    [target] = [pod for pod in pods(documents) if pod.name == name]
    return any(
        port in {each["port"] for each in rule["ports"]}
        and any(
            "podSelector" in peer and selected(peer["podSelector"], caller.labels)
            for peer in rule["from"]
        )
        for spec in policies(documents, target)
        for rule in spec.get("ingress", [])
    )
