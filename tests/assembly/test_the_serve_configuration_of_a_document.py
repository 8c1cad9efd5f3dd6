"""Document → Ray Serve's declarative configuration."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from penstock.assembly.serve_config import (
    Placement,
    application_name,
    hardware_resource,
    serve_config,
)
from penstock.config import Document
from penstock.errors import DocumentError
from penstock.gateway.spec import GatewaySpec

BASE: dict[str, Any] = {
    "models": {
        "demo": {"source": "/models/demo", "options": {"max_model_len": 1024}},
        "big": {
            "source": "hf://org/big",
            "hardware": "l4",
            "gpus": 2,
            "replicas": {"min": 0, "max": 4, "target": 8},
            "aliases": ["default"],
        },
    },
    "hardware": {"l4": {"resources": {"nvidia.com/gpu": 1}}},
    "gateway": {"longestRequest": "5m", "replicas": 2},
}


def _document(**changes: Any) -> Document:
    return Document.model_validate({**copy.deepcopy(BASE), **changes})


def _applications(document: Document, placement: Placement = Placement.CLUSTER) -> dict[str, Any]:
    return {app["name"]: app for app in serve_config(document, placement)["applications"]}


def _deployment(application: dict[str, Any]) -> dict[str, Any]:
    (deployment,) = application["deployments"]
    return deployment


def test_each_model_and_the_gateway_have_an_application_of_their_own() -> None:
    assert set(_applications(_document())) == {"model-demo", "model-big", "gateway"}


def test_nothing_goes_through_serves_proxy() -> None:
    config = serve_config(_document())
    assert config["proxy_location"] == "HeadOnly"
    assert serve_config(_document(), Placement.LOCAL)["proxy_location"] == "Disabled"
    assert {app["route_prefix"] for app in config["applications"]} == {None}


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": {"min": 1, "max": 9, "target": 3, "limit": 7}},
        {"replicas": 5},
    ],
)
def test_numbers_change_in_place(change: dict[str, Any]) -> None:
    before = _applications(_document())["model-big"]
    models = {**BASE["models"], "big": {**BASE["models"]["big"], **change}}
    after = _applications(_document(models=models))["model-big"]
    assert after["args"] == before["args"]
    assert _deployment(after) != _deployment(before)


def test_a_longer_request_restarts_no_model() -> None:
    before, after = _applications(_document()), _applications(_document(gateway={"longestRequest": "1h"}))
    for name in ("model-demo", "model-big"):
        assert after[name]["args"] == before[name]["args"]
        assert _deployment(after[name])["graceful_shutdown_timeout_s"] > 3600


def test_another_model_changes_nothing_of_the_first() -> None:
    models = {**BASE["models"], "new": {"engine": "simulator"}}
    before, after = _applications(_document()), _applications(_document(models=models))
    assert after["model-demo"] == before["model-demo"]
    assert after["gateway"]["args"] == before["gateway"]["args"]
    assert "new" in _deployment(after["gateway"])["user_config"]["models"]


def test_a_fixed_number_is_a_range_of_one_so_that_it_can_become_a_wider_one_in_place() -> None:
    # Ray lets replicas report their load only where they started with an autoscaling_config.
    fixed = _deployment(_applications(_document())["model-demo"])["autoscaling_config"]
    assert (fixed["min_replicas"], fixed["max_replicas"]) == (1, 1)


def test_replicas_scale_by_our_policy() -> None:
    applications = _applications(_document())
    scaling = _deployment(applications["model-big"])["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"], scaling["target_ongoing_requests"]) == (0, 4, 8)
    assert scaling["policy"]["policy_function"] == "penstock.scaling.entry:ModelScaling"
    assert scaling["policy"]["policy_kwargs"]["model"] == "big"


@pytest.mark.parametrize(
    "numbers",
    [
        {"max": 9},
        {"min": 2},
        {"target": 3},
        {"upscaleDelay": "9s"},
        {"downscaleToZeroDelay": "9s"},
        {"kvThreshold": 0.5},
    ],
)
def test_ray_does_not_take_another_number_of_scaling_for_other_code(numbers: dict[str, Any]) -> None:
    from ray.serve._private.deploy_utils import get_app_code_version
    from ray.serve.schema import ServeApplicationSchema

    def version(**replicas: Any) -> str:
        document = Document.model_validate({"models": {"m": {"engine": "simulator", "replicas": replicas}}})
        return str(get_app_code_version(ServeApplicationSchema(**_applications(document)["model-m"])))

    assert version(min=1, max=4) == version(**{"min": 1, "max": 4, **numbers})


def test_a_change_of_a_model_does_not_take_its_replicas_back_to_the_least() -> None:
    # Ray takes initial_replicas for the number to have after any change.
    assert "initial_replicas" not in _deployment(_applications(_document())["model-big"])["autoscaling_config"]


def _surge(placement: Placement = Placement.CLUSTER, *, max_pods: int = 64, **models: dict[str, Any]) -> dict[str, int]:
    config = serve_config(_document(models=models), placement, max_pods=max_pods)
    return {
        app["name"].removeprefix("model-"): _deployment(app)["max_surge_percent"]
        for app in config["applications"]
        if app["name"] != "gateway"
    }


REAL = {"source": "/m"}
PRETENDED = {"engine": "simulator"}


def test_on_one_machine_the_simulator_alone_starts_new_replicas_beside_old_ones() -> None:
    gpus = {**REAL, "hardware": "l4"}
    assert _surge(Placement.LOCAL, a=REAL, b=PRETENDED, c=gpus) == {"a": 0, "b": 25, "c": 0}


@pytest.mark.parametrize(("max_pods", "percent"), [(9, 0), (10, 25)])
def test_on_a_cluster_they_do_where_all_models_of_a_profile_have_room_to(max_pods: int, percent: int) -> None:
    # 5 + 2 and 2 + 1 pods on one profile; the other profile has pods of its own.
    models = {"a": {**REAL, "replicas": 5}, "b": {**PRETENDED, "replicas": {"min": 0, "max": 2}}}
    other = {**REAL, "hardware": "l4", "replicas": 7}
    assert _surge(max_pods=max_pods, **models, c=other) == {"a": percent, "b": percent, "c": 25}


@pytest.mark.parametrize("placement", Placement)
def test_what_the_document_says_of_surges_stands_above_what_there_is_room_for(placement: Placement) -> None:
    said = {said: {**PRETENDED, "rollout": {"surge": said}} for said in ("always", "never")}
    assert _surge(placement, max_pods=1, **said) == {"always": 25, "never": 0}


def test_how_a_rollout_goes_restarts_nothing() -> None:
    before, after = (
        _applications(_document(models={"a": REAL})),
        _applications(_document(models={"a": {**REAL, "rollout": {"surge": "always"}}})),
    )
    assert after["model-a"]["args"] == before["model-a"]["args"]


@pytest.mark.parametrize("placement", Placement)
def test_a_new_gateway_starts_before_an_old_one_stops(placement: Placement) -> None:
    assert _deployment(_applications(_document(), placement)["gateway"])["max_surge_percent"] == 25


def test_a_gateway_of_a_cluster_serves_on_for_a_while_when_it_stops_and_is_given_the_time() -> None:
    document = _document(gateway={"longestRequest": "5m", "drainDelay": "20s"})
    cluster, local = (
        _applications(document, placement)["gateway"] for placement in (Placement.CLUSTER, Placement.LOCAL)
    )
    assert GatewaySpec.model_validate(cluster["args"]).gateway.drain_delay == 20
    assert _deployment(cluster)["graceful_shutdown_timeout_s"] == 300 + 20 + 30
    assert GatewaySpec.model_validate(local["args"]).gateway.drain_delay == 0
    assert _deployment(local)["graceful_shutdown_timeout_s"] == 300 + 30


def test_a_cluster_places_by_hardware_profile_and_one_machine_by_gpus_alone() -> None:
    cluster = _deployment(_applications(_document())["model-big"])["ray_actor_options"]
    assert cluster == {"num_cpus": 0, "num_gpus": 2, "resources": {hardware_resource("l4", 2): 1}}
    local = _deployment(_applications(_document(), Placement.LOCAL)["model-big"])["ray_actor_options"]
    assert local == {"num_cpus": 0, "num_gpus": 2}


def test_engines_of_one_machine_listen_on_loopback() -> None:
    assert _applications(_document(), Placement.LOCAL)["model-demo"]["args"]["host"] == "127.0.0.1"
    assert "host" not in _applications(_document())["model-demo"]["args"]


def test_an_option_that_penstock_owns_is_refused_before_anything_starts() -> None:
    with pytest.raises(DocumentError, match=r"models.demo.options.port"):
        serve_config(_document(models={"demo": {"source": "/m", "options": {"port": 1}}}))


def test_applications_of_odd_names_are_plain_and_distinct() -> None:
    names = ["a/b", "a-b", "a:b", "Qwen/Qwen3-0.6B", "a b"]
    made = [application_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") for name in made)


def test_gateways_of_a_cluster_listen_on_all_of_their_pod() -> None:
    assert _applications(_document())["gateway"]["args"]["gateway"]["host"] == "0.0.0.0"
    assert "host" not in _applications(_document(), Placement.LOCAL)["gateway"]["args"].get("gateway", {})


@pytest.mark.parametrize(
    ("style", "placement", "encoding"),
    [
        ("json", Placement.LOCAL, "JSON"),
        ("auto", Placement.LOCAL, "TEXT"),
        ("auto", Placement.CLUSTER, "JSON"),
        ("text", Placement.CLUSTER, "TEXT"),
    ],
)
def test_json_logs_are_json_in_serve_too(style: str, placement: Placement, encoding: str) -> None:
    config = serve_config(_document(logging={"format": style}), placement)
    assert config["logging_config"]["encoding"] == encoding
