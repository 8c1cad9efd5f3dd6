"""Who reaches what: each arrow that the design needs is there, by ports that the pods have, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from support.chart_values import ONE_MODEL, everything
from support.charts import Rendered, render
from support.kubernetes_objects import Pod, pod, pods

CLIENT = {"app": "client"}
OPERATOR = {"app.kubernetes.io/component": "kuberay-operator"}
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
NAMED: dict[str, Any] = {
    "clients": [{"podSelector": {"matchLabels": CLIENT}}],
    "monitoring": {"podSelector": {"matchLabels": PROMETHEUS}},
}
RAY_PORTS = (6379, 8265, 10001, 52365)


@pytest.fixture(scope="module")
def default() -> Rendered:
    return render(ONE_MODEL)


@pytest.fixture(scope="module")
def named() -> Rendered:
    return render(ONE_MODEL | {"networkPolicy": NAMED})


def _reaches(rendered: Rendered, labels: dict[str, str], to: str, port: str | int) -> bool:
    """Whether a pod with these labels reaches a port, by name or number, of a pod of the release."""
    target = pod(rendered, to)
    number = target.ports[port] if isinstance(port, str) else port
    policies = [policy["spec"] for policy in rendered.all_of("NetworkPolicy")]
    over = [
        spec for spec in policies if _selects(spec["podSelector"], target.labels) and "Ingress" in spec["policyTypes"]
    ]
    return not over or any(_admits(rule, labels, target, number) for spec in over for rule in spec["ingress"])


def _admits(rule: dict[str, Any], labels: dict[str, str], target: Pod, number: int) -> bool:
    numbers = [target.ports.get(p["port"]) if isinstance(p["port"], str) else p["port"] for p in rule.get("ports", [])]
    peers = rule.get("from", [])
    return (number in numbers or not numbers) and (
        not peers or any(_selects(peer.get("podSelector", {}), labels) for peer in peers)
    )


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert not selector.keys() - {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def test_clients_reach_gateways_alone_and_there_the_address_alone(default: Rendered) -> None:
    assert _reaches(default, CLIENT, "gateway", "http")
    assert not any(_reaches(default, CLIENT, to, port) for to in ("head", "gateway", "hw-cpu") for port in RAY_PORTS)
    assert not any(_reaches(default, CLIENT, "hw-cpu", port) for port in (8000, 30000, 40123))


def test_whoever_is_not_named_among_clients_reaches_nothing(named: Rendered) -> None:
    assert _reaches(named, CLIENT, "gateway", "http")
    assert not _reaches(named, {"app": "stranger"}, "gateway", "http")


def test_pods_of_the_release_reach_each_other_on_every_port(named: Rendered) -> None:
    for one in pods(named):
        for to in ("head", "gateway", "hw-cpu"):
            assert all(_reaches(named, one.labels, to, port) for port in (*RAY_PORTS, 31234))


def test_another_release_s_pods_are_strangers(named: Rendered) -> None:
    other = render(ONE_MODEL, release="other")
    for one in pods(other):
        assert not any(
            _reaches(named, one.labels, to, port) for to in ("head", "gateway", "hw-cpu") for port in RAY_PORTS
        )


def test_the_operator_reaches_the_head_s_dashboard_and_proxy(named: Rendered) -> None:
    assert _reaches(named, OPERATOR, "head", "dashboard")
    assert _reaches(named, OPERATOR, "head", "serve")
    assert not _reaches(named, OPERATOR, "head", "gcs")
    assert not _reaches(named, OPERATOR, "hw-cpu", "metrics")


def test_prometheus_reaches_all_metrics_and_nothing_else(named: Rendered) -> None:
    for to in ("head", "gateway", "hw-cpu"):
        assert _reaches(named, PROMETHEUS, to, "metrics")
        assert not any(_reaches(named, PROMETHEUS, to, port) for port in RAY_PORTS)
    assert _reaches(named, PROMETHEUS, "head", "as-metrics")
    # The gateways' own metrics are on the clients' port.
    assert _reaches(named, PROMETHEUS, "gateway", "http")


def test_a_prometheus_that_is_not_named_opens_the_gateways_to_nobody() -> None:
    rendered = render(ONE_MODEL | {"networkPolicy": {"clients": NAMED["clients"]}})
    assert not _reaches(rendered, {"app": "stranger"}, "gateway", "http")
    assert _reaches(rendered, {"app": "stranger"}, "gateway", "metrics")


def test_every_port_that_a_policy_names_is_a_port_of_the_pods_it_is_about() -> None:
    rendered = render(everything())
    for policy in rendered.all_of("NetworkPolicy"):
        meant = [each for each in pods(rendered) if _selects(policy["spec"]["podSelector"], each.labels)]
        assert meant
        names = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])}
        assert all(names <= each.ports.keys() for each in meant)


def test_gateways_listen_where_the_document_says() -> None:
    rendered = render(ONE_MODEL | {"gateway": {"port": 9000}, "service": {"port": 80}})
    assert pod(rendered, "gateway").ports["http"] == 9000
    assert (
        rendered.of("Service")["spec"]["ports"][0] | {"port": 80, "targetPort": "http"}
        == (rendered.of("Service")["spec"]["ports"][0])
    )
    gateway = rendered.serve_config["applications"][-1]["args"]["gateway"]
    assert (gateway["host"], gateway["port"]) == ("0.0.0.0", 9000)


def test_nothing_that_leaves_is_cut_unless_that_is_asked_for(default: Rendered) -> None:
    assert all(policy["spec"]["policyTypes"] == ["Ingress"] for policy in default.all_of("NetworkPolicy"))


def test_what_leaves_engines_and_gateways_can_be_cut_to_names_the_release_and_what_is_listed() -> None:
    extra = {"ports": [{"port": 443}]}
    rendered = render(ONE_MODEL | {"networkPolicy": {"egress": {"restricted": True, "allow": [extra]}}})
    for name in ("gateway", "engine"):
        spec = rendered.of("NetworkPolicy", f"test-penstock-{name}")["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        dns, own, added = spec["egress"]
        assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
        assert all(_selects(own["to"][0]["podSelector"], each.labels) for each in pods(rendered))
        assert added == extra
    # The autoscaler beside the head talks to the API server.
    assert rendered.of("NetworkPolicy", "test-penstock-head")["spec"]["policyTypes"] == ["Ingress"]


STORES: dict[str, Any] = {"secrets": {"database": {"name": "pg"}, "redis": {"name": "r"}}}


def _outside(values: dict[str, Any], component: str) -> list[dict[str, Any]]:
    """Egress rules that lead out of the release, but those for names."""
    policy = render(ONE_MODEL | values).of("NetworkPolicy", f"test-penstock-{component}")
    rules: list[dict[str, Any]] = policy["spec"]["egress"]
    return rules[2:]


@pytest.mark.parametrize(("secrets", "ports"), [({}, []), (STORES["secrets"], [5432, 6379])])
def test_gateways_and_no_engines_reach_the_stores_that_are_named(secrets: dict[str, Any], ports: list[int]) -> None:
    values = {"secrets": secrets, "networkPolicy": {"egress": {"restricted": True}}}
    assert _outside(values, "gateway") == [{"ports": [{"port": port, "protocol": "TCP"}]} for port in ports]
    assert _outside(values, "engine") == []


def test_whoever_says_where_the_stores_are_opens_nothing_else() -> None:
    rule = {"ports": [{"port": 6432}], "to": [{"podSelector": {"matchLabels": {"app": "pooler"}}}]}
    values = STORES | {"networkPolicy": {"egress": {"restricted": True, "gateway": [rule]}}}
    assert _outside(values, "gateway") == [rule]
    assert _outside(values, "engine") == []


@pytest.mark.parametrize(
    ("oidc", "ports"),
    [
        ({"issuer": "https://login.example.com/realms/llm"}, [443]),
        ({"issuer": "https://login.example.com:8443/", "jwks": "http://keys.example.com/a:1"}, [8443, 80]),
    ],
)
def test_gateways_reach_the_port_of_an_issuer(oidc: dict[str, Any], ports: list[int]) -> None:
    accounts = {"oidc": {**oidc, "audience": ["penstock"]}}
    values = {"accounts": accounts, "networkPolicy": {"egress": {"restricted": True}}}
    assert [rule["ports"][0]["port"] for rule in _outside(values, "gateway")] == ports
