"""Objects have names that fit, the labels that were asked for, and selectors that meet the pods they mean."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

import penstock
from support.chart_values import ONE_MODEL, everything
from support.charts import CHART, Rendered, render
from support.kubernetes_objects import pods

LONG = "a-release-with-a-name-as-long-as-helm-allows-it-to-be"
TWO_KINDS: dict[str, Any] = {
    "models": {"a": {"engine": "simulator"}, "b": {"engine": "simulator", "hardware": "nvidia-l4"}},
    "podDisruptionBudget": {"engine": {"enabled": True}, "head": {"enabled": True}},
}


@pytest.fixture(scope="module")
def all_on() -> Rendered:
    return render(everything())


def test_a_release_named_for_the_chart_does_not_say_it_twice() -> None:
    assert render(ONE_MODEL, release="penstock").of("Service")["metadata"]["name"] == "penstock"
    assert render(ONE_MODEL, release="my-penstock").of("Service")["metadata"]["name"] == "my-penstock"


@pytest.mark.parametrize("length", [30, 31, 32, 40, 41, 53])
def test_long_names_are_cut_where_kubernetes_and_kuberay_allow(length: int) -> None:
    values = ONE_MODEL | {"modelCache": {"type": "persistentVolumeClaim", "download": True}}
    rendered = render(values, release=LONG[:length].removesuffix("-"))
    names = [thing["metadata"]["name"] for thing in rendered.objects]
    assert all(len(name) <= 63 and not name.endswith("-") for name in names)
    assert len(rendered.of("RayService")["metadata"]["name"]) <= 40


def test_a_name_given_in_full_is_taken_as_it_is() -> None:
    rendered = render(ONE_MODEL | {"fullnameOverride": "llm"})
    assert {name.split("/")[1].split("-")[0] for name in rendered.names} == {"llm"}


def test_a_long_name_of_hardware_makes_a_worker_group_with_a_name_that_fits() -> None:
    hardware = "Rack_7.with.a.name.as.long.as.a.label.of.kubernetes.may.be-000"
    rendered = render({"models": {"a": {"engine": "simulator", "hardware": hardware}}, "hardware": {hardware: {}}})
    group = rendered.cluster["workerGroupSpecs"][1]
    assert group["groupName"] == "hw-rack-7-with-a-name-as-long-as-a-label-of-kubernete"
    assert group["resources"][f"penstock-hardware-{hardware}"] == "1"


def test_labels_and_annotations_of_all_are_on_all() -> None:
    values = everything() | {
        "commonLabels": {"team": "models", "app.kubernetes.io/part-of": "platform"},
        "commonAnnotations": {"example.com/owner": "models"},
    }
    rendered = render(values)
    own = [thing["metadata"] for thing in rendered.objects if not thing["metadata"]["name"].endswith("-note")]
    for metadata in own + [pod.template["metadata"] for pod in pods(rendered)]:
        assert metadata["labels"]["team"] == "models"
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "platform"
        assert metadata["labels"]["app.kubernetes.io/name"] == "penstock"
        assert metadata["labels"]["app.kubernetes.io/instance"] == "test"
        assert metadata["annotations"]["example.com/owner"] == "models"


def test_no_label_that_values_give_takes_a_pod_from_its_selectors() -> None:
    taken = {"app.kubernetes.io/name": "a", "app.kubernetes.io/instance": "b", "app.kubernetes.io/component": "c"}
    plain = render(ONE_MODEL)
    given = render(ONE_MODEL | {"commonLabels": taken, "cluster": {"gateway": {"labels": taken}}})
    assert [pod.labels for pod in pods(given)] == [pod.labels for pod in pods(plain)]
    assert given.of("Service")["spec"]["selector"] == plain.of("Service")["spec"]["selector"]


def test_another_name_of_the_chart_is_in_labels_and_selectors_alike() -> None:
    rendered = render(ONE_MODEL | {"nameOverride": "llm"})
    assert {pod.labels["app.kubernetes.io/name"] for pod in pods(rendered)} == {"llm"}
    assert _selected(rendered, rendered.of("Service")["spec"]["selector"]) == {"gateway"}


def test_pods_of_ray_carry_no_version_so_that_a_new_chart_alone_restarts_nothing(all_on: Rendered) -> None:
    for pod in pods(all_on):
        if pod.name != "test":
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & pod.labels.keys()


def test_the_service_selects_the_gateways_and_nothing_else(all_on: Rendered) -> None:
    service = all_on.of("Service")["spec"]
    assert _selected(all_on, service["selector"]) == {"gateway"}
    (port,) = service["ports"]
    (gateway,) = [pod for pod in pods(all_on) if pod.name == "gateway"]
    assert port["targetPort"] in gateway.ports


def test_a_budget_counts_the_pods_of_its_own_kind() -> None:
    rendered = render(TWO_KINDS)
    budgets = {
        b["metadata"]["name"]: b["spec"]["selector"]["matchLabels"] for b in rendered.all_of("PodDisruptionBudget")
    }
    # KubeRay puts a group's name on its pods.
    groups = {pod.name: pod.labels | {"ray.io/group": pod.name} for pod in pods(rendered)}
    meant = {
        "test-penstock-head": "head",
        "test-penstock-hw-cpu": "hw-cpu",
        "test-penstock-hw-nvidia-l4": "hw-nvidia-l4",
    }
    for name, labels in budgets.items():
        assert {group for group, has in groups.items() if labels.items() <= has.items()} == {meant.pop(name)}
    assert not meant


def test_an_ingress_and_a_route_lead_to_a_port_of_the_service(all_on: Rendered) -> None:
    service = all_on.of("Service")
    (rule,) = all_on.of("Ingress")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert rule["host"] == "llm.example.com"
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    (route,) = all_on.of("HTTPRoute")["spec"]["rules"][0]["backendRefs"]
    assert route["name"] == service["metadata"]["name"]
    assert route["port"] in {port["port"] for port in service["spec"]["ports"]}


def test_an_ingress_without_hosts_takes_every_host_and_several_have_a_rule_each() -> None:
    rules = render({"ingress": {"enabled": True}}).of("Ingress")["spec"]["rules"]
    assert [rule.get("host") for rule in rules] == [None]
    rules = render({"ingress": {"enabled": True, "hosts": ["a", "b"]}}).of("Ingress")["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["a", "b"]


def test_further_objects_may_hold_templates() -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": '{{ include "penstock.fullname" . }}-x'}}
    rendered = render({"extraObjects": {"x": made | {"data": {"at": "{{ .Release.Namespace }}"}}}})
    assert rendered.of("ConfigMap", "test-penstock-x")["data"] == {"at": "penstock"}


def test_the_chart_says_the_versions_and_images_that_it_renders() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["appVersion"] == penstock.__version__
    listed = {item["image"] for item in yaml.safe_load(about["annotations"]["artifacthub.io/images"])}
    assert listed == {pod.container["image"] for pod in pods(render(TWO_KINDS))}
    requirements = (CHART.parents[2] / "requirements" / "gateway.txt").read_text(encoding="utf-8")
    assert f"ray=={about['annotations']['penstock.dev/ray-version']} " in requirements.replace("[serve]", "")


def test_the_page_of_the_chart_leads_to_files() -> None:
    page = (CHART / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page)
    assert links
    assert [link for link in links if not (CHART / link).exists()] == []


def _selected(rendered: Rendered, selector: dict[str, str]) -> set[str]:
    return {pod.name for pod in pods(rendered) if selector.items() <= pod.labels.items()}
