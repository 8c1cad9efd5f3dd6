"""A change of values reaches the running system as the chart's page says: numbers in place, a model's options to that
model alone, and what makes a new Ray cluster is known beforehand."""

from __future__ import annotations

import importlib.util
from typing import Any, cast

import pytest

from penstock import environment
from penstock.assembly import head_health
from support.chart_values import with_changes
from support.charts import Rendered, render

BASE: dict[str, Any] = {
    "models": {
        "chat": {"source": "hf://a/chat", "replicas": {"min": 1, "max": 4}, "options": {"max_model_len": 4096}},
        "embed": {"source": "hf://a/embed", "aliases": ["vectors"]},
        "large": {"source": "hf://a/large", "hardware": "nvidia-l4"},
    },
}


@pytest.fixture(scope="module")
def before() -> Rendered:
    return render(BASE)


def _applications(rendered: Rendered) -> dict[str, Any]:
    return {application["name"]: application for application in rendered.serve_config["applications"]}


def _changed(before: Rendered, after: Rendered) -> set[str]:
    """`application: key` of what differs; `application` alone of what came or went."""
    old, new = _applications(before), _applications(after)
    assert {key: value for key, value in before.serve_config.items() if key != "applications"} == {
        key: value for key, value in after.serve_config.items() if key != "applications"
    }
    names = old.keys() ^ new.keys()
    keys = {
        f"{name}: {key}" for name in old.keys() & new.keys() for key in old[name] if old[name][key] != new[name][key]
    }
    return names | keys


def _numbers_that_changed(before: Rendered, after: Rendered, application: str) -> set[str]:
    (old,), (new,) = (_applications(rendered)[application]["deployments"] for rendered in (before, after))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


@pytest.mark.parametrize(
    ("replicas", "numbers"),
    [
        ({"min": 1, "max": 6}, {"autoscaling_config"}),
        ({"min": 1, "max": 4, "target": 4}, {"autoscaling_config"}),
        ({"min": 1, "max": 4, "downscaleDelay": "1m"}, {"autoscaling_config"}),
        ({"min": 1, "max": 4, "kvThreshold": 0.5}, {"autoscaling_config"}),
        ({"min": 1, "max": 4, "limit": 32}, {"max_ongoing_requests"}),
        (3, {"autoscaling_config"}),
        (0, {"autoscaling_config"}),
    ],
)
def test_a_model_s_numbers_change_in_place(before: Rendered, replicas: Any, numbers: set[str]) -> None:
    after = render(with_changes(BASE, models__chat__replicas=replicas))
    assert _changed(before, after) == {"model-chat: deployments"}
    assert _numbers_that_changed(before, after, "model-chat") == numbers
    assert after.cluster == before.cluster


def test_the_number_of_gateways_changes_in_place(before: Rendered) -> None:
    after = render(with_changes(BASE, gateway__replicas=5))
    assert _changed(before, after) == {"gateway: deployments"}
    assert _numbers_that_changed(before, after, "gateway") == {"num_replicas"}
    assert after.cluster == before.cluster


@pytest.mark.parametrize(
    "change",
    [
        {"models__chat__options": {"max_model_len": 2048}},
        {"models__chat__env": {"A": "1"}},
        {"models__chat__source": "hf://a/chat@v2"},
        {"models__chat__startup": {"stall": "10m"}},
    ],
    ids=lambda change: next(iter(change)).split("__")[-1],
)
def test_an_option_of_an_engine_reaches_the_arguments_of_that_model_alone(
    before: Rendered, change: dict[str, Any]
) -> None:
    after = render(with_changes(BASE, **change))
    assert _changed(before, after) == {"model-chat: args"}
    assert after.cluster == before.cluster


def test_a_model_on_hardware_in_use_is_one_more_application(before: Rendered) -> None:
    after = render(with_changes(BASE, models__more={"source": "hf://a/more"}))
    assert _changed(before, after) == {"model-more", "gateway: deployments"}
    assert _numbers_that_changed(before, after, "gateway") == {"user_config"}
    assert after.cluster == before.cluster


def test_a_model_on_other_hardware_is_one_more_worker_group_too(before: Rendered) -> None:
    after = render(with_changes(BASE, models__more={"source": "hf://a/more", "hardware": "nvidia-t4"}))
    assert _changed(before, after) == {"model-more", "gateway: deployments"}
    *others, added = after.cluster["workerGroupSpecs"]
    assert added["groupName"] == "hw-nvidia-t4"
    assert {**after.cluster, "workerGroupSpecs": others} == before.cluster


def test_a_model_of_several_gpus_has_a_worker_group_of_its_own(before: Rendered) -> None:
    after = render(with_changes(BASE, models__large__gpus=2))
    groups = {group["groupName"]: group for group in after.cluster["workerGroupSpecs"]}
    assert groups.keys() == {"gateway", "hw-cpu", "hw-nvidia-l4-x2"}
    group = groups["hw-nvidia-l4-x2"]
    assert group["resources"] == {"CPU": "0", "GPU": "2", "penstock-hardware-nvidia-l4-x2": "1"}
    resources = group["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"nvidia.com/gpu": "2", "cpu": "6", "memory": "24Gi"}
    assert resources["limits"] == {"nvidia.com/gpu": "2", "memory": "24Gi"}


def test_a_model_removed_goes_alone(before: Rendered) -> None:
    values = with_changes(BASE)
    del values["models"]["embed"]
    after = render(values)
    assert _changed(before, after) == {"model-embed", "gateway: deployments"}
    assert after.cluster == before.cluster


def test_gateways_learn_of_an_alias_without_a_restart(before: Rendered) -> None:
    after = render(with_changes(BASE, models__embed__aliases=["vectors", "default"]))
    assert "gateway: args" not in _changed(before, after)
    assert _numbers_that_changed(before, after, "gateway") == {"user_config"}
    assert after.cluster == before.cluster


@pytest.mark.parametrize(
    "change",
    [
        {"service__type": "LoadBalancer"},
        {"networkPolicy__clients": [{"podSelector": {}}]},
        {"ingress__enabled": True},
        {"podDisruptionBudget__engine__enabled": True},
        {"monitoring__podMonitor__enabled": True},
        {"serviceAccount__annotations": {"a": "b"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_stands_beside_the_cluster_does_not_touch_it(before: Rendered, change: dict[str, Any]) -> None:
    after = render(with_changes(BASE, **change))
    assert after.of("RayService")["spec"] == before.of("RayService")["spec"]
    assert set(after.names) != set(before.names) or after.steady != before.steady


@pytest.mark.parametrize(
    "change",
    [
        {"image__engine__tag": "0.2.0-cpu"},
        {"cluster__engine__env": {"A": "1"}},
        {"cluster__engine__maxPods": 65},
        {"gateway__port": 9000},
        {"gateway__longestRequest": "20m"},
        {"modelCache__type": "hostPath"},
        {"secrets__hub__name": "hf"},
        {"weights__cache": "/weights"},
        {"commonLabels": {"a": "b"}},
        {"models__embed__source": "pvc://claim/embed"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_makes_a_new_cluster_is_what_the_page_says(before: Rendered, change: dict[str, Any]) -> None:
    assert render(with_changes(BASE, **change)).cluster != before.cluster


def test_no_number_of_replicas_is_given_to_kuberay_which_would_fight_ray_over_it(before: Rendered) -> None:
    for group in before.cluster["workerGroupSpecs"]:
        assert "replicas" not in group
        assert group["minReplicas"] == (1 if group["groupName"] == "gateway" else 0)


@pytest.mark.parametrize(("longest", "seconds"), [("10m", 600), ("1h30m", 5400), (45, 45), ("14d", 1209600)])
def test_every_grace_period_follows_from_the_longest_request(longest: Any, seconds: int) -> None:
    rendered = render(with_changes(BASE, gateway__longestRequest=longest, gateway__drainDelay="7s"))
    assert rendered.of("RayService")["spec"]["rayClusterDeletionDelaySeconds"] == seconds + 7 + 30
    for group in rendered.cluster["workerGroupSpecs"]:
        stopping = seconds + 30 + (7 if group["groupName"] == "gateway" else 0)
        pod = group["template"]["spec"]
        env = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
        assert pod["terminationGracePeriodSeconds"] == stopping + 30
        assert env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] == str(stopping)
    for application in rendered.serve_config["applications"]:
        stopping = seconds + 30 + (7 if application["name"] == "gateway" else 0)
        assert application["deployments"][0]["graceful_shutdown_timeout_s"] == stopping


def test_the_head_outlives_the_pods_that_stop_with_it() -> None:
    rendered = render(with_changes(BASE, gateway__longestRequest="1h"))
    head = rendered.cluster["headGroupSpec"]["template"]["spec"]
    gateways = rendered.cluster["workerGroupSpecs"][0]["template"]["spec"]
    assert head["terminationGracePeriodSeconds"] > gateways["terminationGracePeriodSeconds"]
    *command, limit = head["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["python", "-m", "penstock.assembly.outlive"]
    assert head["terminationGracePeriodSeconds"] - 60 == int(limit) == 3600 + 10 + 30
    assert importlib.util.find_spec(command[-1]) is not None


def test_a_head_is_restarted_for_its_controller_only_where_that_costs_nothing() -> None:
    def probe(values: dict[str, Any]) -> dict[str, Any]:
        head = render(values).cluster["headGroupSpec"]["template"]["spec"]
        return cast("dict[str, Any]", head["containers"][0]["livenessProbe"])

    alone = probe(BASE)
    assert alone["httpGet"]["path"] == "/api/local_raylet_healthz"
    lasting = probe(with_changes(BASE, cluster__redis__address="redis:6379"))
    command = lasting["exec"]["command"]
    assert command[:2] == ["python", "-m"]
    assert importlib.util.find_spec(command[-1]) is not None
    assert lasting["timeoutSeconds"] > 2 * head_health.PATIENCE
    assert lasting["periodSeconds"] * lasting["failureThreshold"] >= 120


def test_a_gateway_pod_that_stops_tells_its_gateway_in_the_gateway_s_own_words(before: Rendered) -> None:
    container = before.cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["touch", env[environment.LEAVING_FILE]]
    assert env[environment.LEAVING_FILE].startswith("/tmp/")


def test_gateways_know_the_service_that_clients_use_and_follow_it_in_place(before: Rendered) -> None:
    after = render(with_changes(BASE, service__port=80))
    for rendered in (before, after):
        (deployment,) = _applications(rendered)["gateway"]["deployments"]
        service = rendered.of("Service")
        address = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        assert deployment["user_config"]["service"] == address
    assert after.cluster == before.cluster
    assert _applications(after)["gateway"]["args"] == _applications(before)["gateway"]["args"]


def test_large_numbers_stay_numbers() -> None:
    values = with_changes(BASE, models__chat__replicas={"max": 2, "limit": 2_000_000, "target": 1_000_000})
    (numbers,) = _applications(render(values))["model-chat"]["deployments"]
    assert numbers["max_ongoing_requests"] == 2_000_000
    assert numbers["autoscaling_config"]["target_ongoing_requests"] == 1_000_000
