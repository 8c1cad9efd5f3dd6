"""What nobody asked for is not there, and a switch brings its own objects and changes no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_origin

import pytest

from penstock.chart import ChartValues
from penstock.config import Document
from penstock.config.base import Section
from penstock.config.keys import key_of, section_inside, without_none
from support.chart_values import ONE_MODEL
from support.charts import CHART, Rendered, render
from support.kubernetes_objects import pods

ALWAYS = {
    "RayService/test-penstock",
    "Service/test-penstock",
    "ServiceAccount/test-penstock",
    "ServiceAccount/test-penstock-gateway",
    "NetworkPolicy/test-penstock-gateway",
    "NetworkPolicy/test-penstock-engine",
    "NetworkPolicy/test-penstock-head",
    "Pod/test-penstock-test",
    "Secret/test-penstock-keys",
}
ON: dict[str, tuple[dict[str, Any], set[str]]] = {
    "ingress": ({"ingress": {"enabled": True}}, {"Ingress/test-penstock"}),
    "httpRoute": ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, {"HTTPRoute/test-penstock"}),
    "budget of gateways": (
        {"podDisruptionBudget": {"gateway": {"enabled": True, "minAvailable": 0}}},
        {"PodDisruptionBudget/test-penstock-gateway"},
    ),
    "budget of engines": (
        {"podDisruptionBudget": {"engine": {"enabled": True}}},
        {"PodDisruptionBudget/test-penstock-hw-cpu"},
    ),
    "budget of the head": (
        {"podDisruptionBudget": {"head": {"enabled": True}}},
        {"PodDisruptionBudget/test-penstock-head"},
    ),
    "extraObjects": (
        {"extraObjects": {"a": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}}},
        {"ConfigMap/mine"},
    ),
}
OFF: dict[str, tuple[dict[str, Any], set[str]]] = {
    "networkPolicy": ({"networkPolicy": {"enabled": False}}, {name for name in ALWAYS if "NetworkPolicy" in name}),
}


@pytest.fixture(scope="module")
def plain() -> Rendered:
    return render(ONE_MODEL)


def test_the_least_is_one_cluster_its_address_its_identity_its_walls_and_its_first_keys(plain: Rendered) -> None:
    assert set(plain.names) == ALWAYS


@pytest.mark.parametrize("name", ON)
def test_a_switch_brings_its_own_and_changes_no_other(plain: Rendered, name: str) -> None:
    values, brought = ON[name]
    rendered = render(ONE_MODEL | values)
    assert set(rendered.names) - set(plain.names) == brought
    assert [o for o in rendered.steady if _name(o) not in brought] == plain.steady


@pytest.mark.parametrize("name", OFF)
def test_a_switch_turned_off_takes_its_own_away_and_changes_no_other(plain: Rendered, name: str) -> None:
    values, taken = OFF[name]
    rendered = render(ONE_MODEL | values)
    assert set(plain.names) - set(rendered.names) == taken
    assert rendered.steady == [o for o in plain.steady if _name(o) not in taken]


def test_a_service_account_and_a_token_that_are_there_are_taken_instead_of_made() -> None:
    given = {"serviceAccount": {"create": False, "name": "mine"}, "rayToken": {"existingSecret": "theirs"}}
    rendered = render(ONE_MODEL | given)
    assert ALWAYS - set(rendered.names) == {"ServiceAccount/test-penstock", "ServiceAccount/test-penstock-gateway"}
    assert rendered.cluster["authOptions"] == {"mode": "token", "secretName": "theirs"}
    workers = [group["template"]["spec"]["serviceAccountName"] for group in rendered.cluster["workerGroupSpecs"]]
    assert workers == ["default", "mine"]


def test_an_identity_of_the_cloud_is_the_engines_alone() -> None:
    bound = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/weights"}
    rendered = render(ONE_MODEL | {"serviceAccount": {"annotations": bound}})
    accounts = {o["metadata"]["name"]: o["metadata"].get("annotations", {}) for o in rendered.all_of("ServiceAccount")}
    bearers = {name for name, annotations in accounts.items() if bound.items() <= annotations.items()}
    assert bearers == {"test-penstock"}
    users = {each.name for each in pods(rendered) if each.spec.get("serviceAccountName") in bearers}
    assert users == {"hw-cpu"}


def test_gateways_take_an_account_that_is_there_instead_of_one_that_is_made() -> None:
    rendered = render(ONE_MODEL | {"cluster": {"gateway": {"serviceAccountName": "theirs"}}})
    assert ALWAYS - set(rendered.names) == {"ServiceAccount/test-penstock-gateway"}
    by_name = {each.name: each.spec.get("serviceAccountName") for each in pods(rendered)}
    assert (by_name["gateway"], by_name["hw-cpu"]) == ("theirs", "test-penstock")


def test_the_token_of_rays_ports_is_kuberays_own_unless_one_is_named(plain: Rendered) -> None:
    assert plain.cluster["authOptions"] == {"mode": "token"}


def test_without_a_model_there_is_a_gateway_and_no_engine() -> None:
    rendered = render({})
    assert [group["groupName"] for group in rendered.cluster["workerGroupSpecs"]] == ["gateway"]
    assert [application["name"] for application in rendered.serve_config["applications"]] == ["gateway"]


def test_the_control_store_lives_in_the_head_until_a_redis_is_named(plain: Rendered) -> None:
    assert "gcsFaultToleranceOptions" not in plain.cluster
    redis = {"address": "redis:6379", "username": "ray", "password": {"name": "redis", "key": "word"}}
    rendered = render(ONE_MODEL | {"cluster": {"redis": redis}})
    assert rendered.cluster["gcsFaultToleranceOptions"] == {
        "redisAddress": "redis:6379",
        "redisUsername": {"value": "ray"},
        "redisPassword": {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "word"}}},
    }


def _name(thing: dict[str, Any]) -> str:
    return f"{thing['kind']}/{thing['metadata']['name']}"


def test_every_value_of_the_cluster_is_read_by_a_template() -> None:
    read = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*.*"))
    # The document's sections go to Penstock as they are; `global` is Helm's.
    own = [path for path in _keys(ChartValues) if path[0] not in (*Document.model_fields, "global")]
    assert len(own) > 80
    assert [".".join(path) for path in own if not re.search(rf"[.\"]{path[-1]}\b", read)] == []


def _keys(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        key = (*path, key_of(name, field))
        inside = section_inside(field.annotation)
        if inside and get_origin(without_none(field.annotation)) is not dict:
            yield from _keys(inside, key)
        else:
            yield key
