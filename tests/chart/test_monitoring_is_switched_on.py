"""The monitoring objects: nothing unless asked for, and then what Prometheus and Grafana can find."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.charts import CHART, Rendered, refusal, render

ALL_ON = {
    "models": {"demo": {"engine": "simulator"}},
    "monitoring": {
        "podMonitor": {"enabled": True, "interval": "30s", "labels": {"scraped-by": "main"}},
        "prometheusRule": {"enabled": True, "labels": {"read-by": "main"}},
        "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Serving"}},
    },
}
ALERTS = sorted(path.stem for path in (CHART / "files" / "alerts").glob("*.yaml"))


@pytest.fixture(scope="module")
def chart() -> Rendered:
    return render(ALL_ON)


def _rules(rendered: Rendered) -> list[dict[str, Any]]:
    (group,) = rendered.of("PrometheusRule")["spec"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _with_rule(**settings: Any) -> dict[str, Any]:
    return {**ALL_ON, "monitoring": {"prometheusRule": {"enabled": True, **settings}}}


def test_nothing_is_there_by_default() -> None:
    plain = render({"models": ALL_ON["models"]})
    assert not plain.all_of("PodMonitor")
    assert not plain.all_of("PrometheusRule")
    assert [name for name in plain.names if "dashboard" in name] == []


@pytest.mark.parametrize(
    ("switch", "names"),
    [
        ("podMonitor", {"PodMonitor/test-penstock-gateway", "PodMonitor/test-penstock-ray"}),
        ("prometheusRule", {"PrometheusRule/test-penstock"}),
        ("dashboard", {"ConfigMap/test-penstock-dashboard"}),
    ],
)
def test_a_switch_adds_its_objects_and_no_other(switch: str, names: set[str]) -> None:
    values = {"models": ALL_ON["models"], "monitoring": {switch: {"enabled": True}}}
    assert set(render(values).names) - set(render({"models": ALL_ON["models"]}).names) == names


def test_labels_by_which_they_are_found_are_on_them(chart: Rendered) -> None:
    assert all(monitor["metadata"]["labels"]["scraped-by"] == "main" for monitor in chart.all_of("PodMonitor"))
    assert chart.of("PrometheusRule")["metadata"]["labels"]["read-by"] == "main"
    dashboard = chart.of("ConfigMap", "test-penstock-dashboard")["metadata"]
    assert dashboard["labels"]["grafana_dashboard"] == "1"
    assert dashboard["annotations"]["grafana_folder"] == "Serving"


def test_a_monitor_selects_pods_that_there_are_and_ports_that_these_have(chart: Rendered) -> None:
    cluster = chart.of("RayService")["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"] for group in groups]
    seen = set()
    for monitor in chart.all_of("PodMonitor"):
        selected = [pod for pod in pods if _selects(monitor["spec"]["selector"], pod["metadata"]["labels"])]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            having = [pod for pod in selected if endpoint["port"] in _ports(pod)]
            assert having, endpoint["port"]
            seen |= {(pod["metadata"]["labels"]["app.kubernetes.io/component"], endpoint["port"]) for pod in having}
    assert seen == {
        ("gateway", "http"),
        ("gateway", "metrics"),
        ("engine", "metrics"),
        ("head", "metrics"),
        ("head", "as-metrics"),
    }


def test_the_interval_is_that_of_the_values(chart: Rendered) -> None:
    endpoints = [e for monitor in chart.all_of("PodMonitor") for e in monitor["spec"]["podMetricsEndpoints"]]
    assert {endpoint["interval"] for endpoint in endpoints} == {"30000ms"}


@pytest.mark.parametrize(("written", "interval"), [(15, "15000ms"), (1.5, "1500ms"), ("1m30s", "90000ms")])
def test_the_interval_may_be_written_as_any_duration(written: Any, interval: str) -> None:
    rendered = render({"monitoring": {"podMonitor": {"enabled": True, "interval": written}}})
    endpoints = [e for monitor in rendered.all_of("PodMonitor") for e in monitor["spec"]["podMetricsEndpoints"]]
    assert {endpoint["interval"] for endpoint in endpoints} == {interval}


def test_everything_read_carries_the_labels_that_alerts_select_by(chart: Rendered) -> None:
    for monitor in chart.all_of("PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            targets = {rule.get("targetLabel") for rule in endpoint["relabelings"]}
            assert {"release", "component", "ray_io_cluster"} <= targets


def test_the_operators_label_endpoint_does_not_hide_ours(chart: Rendered) -> None:
    (endpoint,) = chart.of("PodMonitor", "test-penstock-gateway")["spec"]["podMetricsEndpoints"]
    assert {"action": "labeldrop", "regex": "endpoint"} in endpoint["relabelings"]


def test_every_alert_file_becomes_an_alert_of_its_name(chart: Rendered) -> None:
    assert sorted(rule["alert"] for rule in _rules(chart)) == ALERTS


def test_every_alert_says_how_bad_it_is_what_is_broken_and_where_to_read_on(chart: Rendered) -> None:
    for rule in _rules(chart):
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["for"].endswith("m"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["annotations"]["description"].endswith("."), rule["alert"]
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


def test_an_alert_is_about_its_own_release_and_says_so() -> None:
    for rule in _rules(render(_with_rule(), release="other")):
        assert 'namespace="penstock",release="other"' in rule["expr"], rule["alert"]
        assert "$here" not in rule["expr"], rule["alert"]
        assert (rule["labels"]["namespace"], rule["labels"]["release"]) == ("penstock", "other")


def test_an_alert_that_is_disabled_is_left_out() -> None:
    left = [rule["alert"] for rule in _rules(render(_with_rule(disabled=["PenstockHoldFull"])))]
    assert left == [name for name in ALERTS if name != "PenstockHoldFull"]


def test_disabling_an_alert_that_there_is_not_is_refused_with_the_list() -> None:
    said = refusal(_with_rule(disabled=["PenstockHoldFul"]))
    assert "monitoring.prometheusRule.disabled: [PenstockHoldFul]" in said
    assert ", ".join(ALERTS) in said


def test_runbooks_may_be_kept_elsewhere() -> None:
    for rule in _rules(render(_with_rule(runbookBase="https://wiki.example.com/penstock/"))):
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example.com/penstock/{rule['alert']}.md"


def test_the_dashboard_reaches_grafana_as_it_is_written(chart: Rendered) -> None:
    shipped = chart.of("ConfigMap", "test-penstock-dashboard")["data"]
    written = (CHART / "files" / "dashboards" / "penstock.json").read_text(encoding="utf-8")
    assert {name: text.strip() for name, text in shipped.items()} == {"penstock.json": written.strip()}


def test_an_alert_file_holds_one_alert_of_its_own_name() -> None:
    for name in ALERTS:
        rule = yaml.safe_load((CHART / "files" / "alerts" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert rule["alert"] == name


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = selector.get("matchExpressions", [])
    assert {expression["operator"] for expression in expressions} <= {"In"}
    return selector["matchLabels"].items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def _ports(pod: dict[str, Any]) -> set[str]:
    return {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
