"""What values say of pods and images arrives in them, whole, and beside what the chart needs."""

from __future__ import annotations

from typing import Any

import pytest

from support.chart_values import ONE_MODEL
from support.charts import render
from support.kubernetes_objects import pod, pods

KINDS = {"head": "head", "gateway": "gateway", "engine": "hw-cpu"}
SPREAD = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
SAID: dict[str, Any] = {
    "nodeSelector": {"pool": "serving"},
    "tolerations": [{"key": "serving", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [SPREAD],
    "priorityClassName": "serving",
    "labels": {"team": "models"},
    "annotations": {"example.com/note": "x"},
    "env": {"PLAIN": "text", "NUMBER": 1000000, "SWITCH": True, "EMPTY": "", "SECRET": {"valueFrom": {"fieldRef": {}}}},
    "volumes": {"data": {"persistentVolumeClaim": {"claimName": "data"}}},
    "volumeMounts": {"data": {"mountPath": "/data", "readOnly": True}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_can_be_said_of_a_kind_of_pods_arrives_in_them_and_in_no_other(kind: str) -> None:
    plain, rendered = render(ONE_MODEL), render(ONE_MODEL | {"cluster": {kind: SAID}})
    given = pod(rendered, KINDS[kind])
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert given.spec[key] == SAID[key]
    assert given.labels["team"] == "models"
    assert given.template["metadata"]["annotations"]["example.com/note"] == "x"
    expected = {"PLAIN": "text", "NUMBER": "1000000", "SWITCH": "true", "EMPTY": "", "SECRET": SAID["env"]["SECRET"]}
    assert expected.items() <= given.env.items()
    assert given.volumes["data"] == SAID["volumes"]["data"]
    assert given.mounts["data"] == SAID["volumeMounts"]["data"]
    for other in pods(rendered):
        if other.name != given.name:
            assert other == pod(plain, other.name)


def test_a_spread_without_a_selector_is_over_the_pods_of_its_kind_and_one_with_keeps_it() -> None:
    own = {"labelSelector": {"matchLabels": {"team": "models"}}}
    constraints = [SPREAD, SPREAD | own]
    rendered = render(ONE_MODEL | {"cluster": {"gateway": {"topologySpreadConstraints": constraints}}})
    given = pod(rendered, "gateway")
    filled, kept = given.spec["topologySpreadConstraints"]
    assert filled["labelSelector"]["matchLabels"].items() <= given.labels.items()
    assert filled["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert kept["labelSelector"] == own["labelSelector"]


def test_what_values_say_takes_the_place_of_the_chart_s_own_whole() -> None:
    said = {
        "env": {"HF_TOKEN": "none", "RAY_USAGE_STATS_ENABLED": ""},
        "volumes": {"home": {"ephemeral": {}}, "tmp": {"emptyDir": {"medium": "Memory"}}},
        "annotations": {"karpenter.sh/do-not-disrupt": "false"},
    }
    values = ONE_MODEL | {"secrets": {"hub": {"name": "hf"}}, "cluster": {"engine": said}}
    given = pod(render(values), "hw-cpu")
    assert given.env["HF_TOKEN"] == "none"
    assert given.env["RAY_USAGE_STATS_ENABLED"] == ""
    assert given.volumes["home"] == {"ephemeral": {}}
    assert given.volumes["tmp"] == {"emptyDir": {"medium": "Memory"}}
    assert given.template["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "false"


def test_a_profile_places_its_engines_and_what_is_said_of_engines_goes_beside_it() -> None:
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    hardware = {"big": {"resources": {"nvidia.com/gpu": 1, "cpu": "500m"}, "tolerations": tolerations}}
    hardware["big"]["nodeSelector"] = {"gpu": "big", "zone": "a"}
    engine = {"nodeSelector": {"zone": "b"}, "tolerations": SAID["tolerations"]}
    models = {"a": {"source": "hf://a/b", "hardware": "big"}}
    given = pod(render({"models": models, "hardware": hardware, "cluster": {"engine": engine}}), "hw-big")
    assert given.spec["nodeSelector"] == {"gpu": "big", "zone": "b"}
    assert given.spec["tolerations"] == tolerations + SAID["tolerations"]
    assert given.container["resources"] == {
        "requests": {"nvidia.com/gpu": 1, "cpu": "500m", "memory": "8Gi"},
        "limits": {"nvidia.com/gpu": 1, "memory": "8Gi"},
    }
    assert given.labels["penstock.dev/hardware"] == "big"


def test_the_document_s_own_profile_stands_before_the_preset_of_its_name() -> None:
    values = {"models": {"a": {"source": "hf://a/b", "hardware": "nvidia-l4"}}}
    values["hardware"] = {"nvidia-l4": {"resources": {"nvidia.com/gpu": 1, "cpu": 9}, "nodeSelector": {"mine": "yes"}}}
    given = pod(render(values), "hw-nvidia-l4")
    assert given.spec["nodeSelector"] == {"mine": "yes"}
    assert given.container["resources"]["requests"]["cpu"] == 9


BOTH: dict[str, Any] = {
    "models": {"a": {"engine": "simulator"}, "b": {"engine": "simulator", "hardware": "nvidia-l4"}},
}
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, ("penstock/gateway:0.1.0", "penstock/engine:0.1.0-cpu", "penstock/engine:0.1.0-cuda")),
        (
            {"registry": "images.example.com:5000/"},
            tuple(
                f"images.example.com:5000/penstock/{n}"
                for n in ("gateway:0.1.0", "engine:0.1.0-cpu", "engine:0.1.0-cuda")
            ),
        ),
        (
            {"gateway": {"repository": "g", "tag": "1"}, "engine": {"repository": "e", "tag": "2"}},
            ("g:1", "e:2", "e:2"),
        ),
        (
            {"gateway": {"digest": DIGEST, "tag": "1"}, "engine": {"digest": DIGEST, "tags": {"cpu": "x"}}},
            (f"penstock/gateway@{DIGEST}", f"penstock/engine@{DIGEST}", f"penstock/engine@{DIGEST}"),
        ),
        (
            {"engine": {"tag": "2", "tags": {"nvidia-l4": "3"}}},
            ("penstock/gateway:0.1.0", "penstock/engine:2", "penstock/engine:3"),
        ),
    ],
    ids=["default", "registry", "tags", "digests", "by hardware"],
)
def test_images_are_those_that_values_name(image: dict[str, Any], expected: tuple[str, str, str]) -> None:
    rendered = render(BOTH | {"image": image})
    found = {given.name: given.container["image"] for given in pods(rendered)}
    gateway, cpu, gpu = expected
    assert found == {"head": gateway, "gateway": gateway, "hw-cpu": cpu, "hw-nvidia-l4": gpu, "test": gateway}


def test_every_pod_pulls_as_it_is_told() -> None:
    cache = {"type": "persistentVolumeClaim", "download": True}
    given = {"imagePullSecrets": ["one", "two"], "image": {"pullPolicy": "Always"}, "modelCache": cache}
    rendered = render(BOTH | given)
    assert len(pods(rendered)) == 6
    for each in pods(rendered):
        assert each.spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
        assert each.container["imagePullPolicy"] == "Always"
    assert rendered.cluster["autoscalerOptions"]["imagePullPolicy"] == "Always"


def test_no_work_lands_on_the_head_and_each_replica_on_the_pods_made_for_it() -> None:
    rendered = render(BOTH)
    assert rendered.cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert rendered.cluster["headGroupSpec"]["rayStartParams"]["num-gpus"] == "0"
    offered = {g["groupName"]: g["resources"] for g in rendered.cluster["workerGroupSpecs"]}
    asked = {
        application["name"]: application["deployments"][0]["ray_actor_options"]
        for application in rendered.serve_config["applications"]
    }
    homes = {"gateway": "gateway", "model-a": "hw-cpu", "model-b": "hw-nvidia-l4"}
    for application, options in asked.items():
        needs = {"GPU": options["num_gpus"], "CPU": options["num_cpus"], **options["resources"]}
        fitting = {
            name
            for name, has in offered.items()
            if all(float(has.get(resource, 0)) >= amount for resource, amount in needs.items())
        }
        assert fitting == {homes[application]}
