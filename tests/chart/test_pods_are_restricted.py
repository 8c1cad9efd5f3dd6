"""Every pod satisfies Kubernetes' restricted Pod Security profile, and what a careful cluster asks besides."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from support.chart_values import ONE_MODEL, everything
from support.charts import Rendered, example, render
from support.kubernetes_objects import Pod, pod, pods

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
HOST = ("hostNetwork", "hostPID", "hostIPC")


def offences(given: Pod) -> list[str]:
    """What the restricted profile has against a pod, and what we have."""
    return [f"{given.name}: {offence}" for offence in (*_of_pod(given), *_of_containers(given))]


def _of_pod(given: Pod) -> Iterator[str]:
    spec = given.spec
    yield from (key for key in HOST if spec.get(key))
    for volume in spec.get("volumes", []):
        yield from (f"volume {volume['name']} of type {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    context = spec.get("securityContext", {})
    if context.get("runAsUser") in (None, 0):
        yield "runs as root, or as nobody says whom"
    yield from (f"sysctl {item['name']}" for item in context.get("sysctls", []))
    if spec.get("automountServiceAccountToken") is not (given.component == "head"):
        yield "mounts the token of its service account" if given.component != "head" else "mounts no token"
    if spec.get("enableServiceLinks") is not False:
        yield "gets the addresses of all Services as variables"


def _of_containers(given: Pod) -> Iterator[str]:
    containers = [*given.spec["containers"], *given.spec.get("initContainers", [])]
    for container in containers:
        for offence in (*_of_context(given, container), *_of_care(container)):
            yield f"{container['name']}: {offence}"


def _of_context(given: Pod, container: dict[str, Any]) -> Iterator[str]:
    context = {**given.spec.get("securityContext", {}), **container.get("securityContext", {})}
    capabilities = context.get("capabilities", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may escalate its privileges"
    if context.get("privileged"):
        yield "is privileged"
    if context.get("runAsNonRoot") is not True:
        yield "may run as root"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"has capabilities: {capabilities}"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if context.get("procMount", "Default") != "Default":
        yield "sees /proc"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "writes to its image"
    yield from (f"has port {port['hostPort']} of the node" for port in container.get("ports", []) if "hostPort" in port)


def _of_care(container: dict[str, Any]) -> Iterator[str]:
    name, _, tag = container["image"].rpartition(":")
    if not name or "/" in tag or tag == "latest":
        yield f"may be any version: {container['image']}"
    resources = container.get("resources", {})
    yield from (f"asks for no {kind}" for kind in ("cpu", "memory") if kind not in resources.get("requests", {}))
    if "memory" not in resources.get("limits", {}):
        yield "may take all memory of its node"


@pytest.fixture(scope="module")
def all_on() -> Rendered:
    return render(everything())


def test_with_everything_on_no_pod_offends(all_on: Rendered) -> None:
    assert {"head", "gateway", "hw-cpu", "hw-l4-spot", "weights", "test"} <= {pod.name for pod in pods(all_on)}
    assert [offence for pod in pods(all_on) for offence in offences(pod)] == []


@pytest.mark.parametrize("values", [ONE_MODEL, example("laptop"), example("gpu")], ids=["default", "laptop", "gpu"])
def test_with_few_values_no_pod_offends(values: dict[str, Any]) -> None:
    assert [offence for pod in pods(render(values)) for offence in offences(pod)] == []


def test_the_autoscaler_that_kuberay_adds_to_the_head_does_not_offend_either(all_on: Rendered) -> None:
    options = all_on.cluster["autoscalerOptions"]
    head = copy.deepcopy(pod(all_on, "head").template)
    fields = ("securityContext", "resources", "volumeMounts", "imagePullPolicy")
    # KubeRay takes the head's image where none is named.
    added = {"name": "autoscaler", "image": head["spec"]["containers"][0]["image"], **{f: options[f] for f in fields}}
    head["spec"]["containers"].append(added)
    assert offences(Pod("head", head)) == []
    assert {mount["name"] for mount in options["volumeMounts"]} <= pod(all_on, "head").volumes.keys()


def test_every_pod_of_ray_has_every_probe_it_needs(all_on: Rendered) -> None:
    probes = {
        pod.name: {key for key in pod.container if key.endswith("Probe")}
        for pod in pods(all_on)
        if pod.component in ("head", "gateway", "engine")
    }
    assert probes["head"] == {"startupProbe", "readinessProbe", "livenessProbe"}
    assert all({"readinessProbe", "livenessProbe"} <= found for found in probes.values())


def test_a_gateway_is_ready_when_its_own_listener_says_so_and_an_engine_when_its_raylet_does(all_on: Rendered) -> None:
    gateway, engine = pod(all_on, "gateway"), pod(all_on, "hw-cpu")
    assert gateway.container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert gateway.ports["http"] == 8000
    assert engine.container["readinessProbe"]["httpGet"] == {"path": "/api/local_raylet_healthz", "port": 52365}


def test_what_is_written_has_a_volume(all_on: Rendered) -> None:
    for given in pods(all_on):
        if given.component in ("head", "gateway", "engine", "weights"):
            assert {"/tmp", "/home/penstock"} <= {mount["mountPath"] for mount in given.mounts.values()}, given.name
            assert given.mounts.keys() <= given.volumes.keys(), given.name


def test_the_node_s_own_folder_is_the_one_way_out_of_the_profile() -> None:
    rendered = render(ONE_MODEL | {"modelCache": {"type": "hostPath"}})
    assert offences(pod(rendered, "hw-cpu")) == ["hw-cpu: volume weights of type hostPath"]


SPOILT = {
    "hostNetwork": (("spec", "hostNetwork"), True),
    "hostPath": (("spec", "volumes", 0), {"name": "x", "hostPath": {"path": "/"}}),
    "root": (("spec", "securityContext", "runAsUser"), 0),
    "token": (("spec", "automountServiceAccountToken"), True),
    "links": (("spec", "enableServiceLinks"), True),
    "escalation": (("spec", "containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
    "capabilities": (
        ("spec", "containers", 0, "securityContext", "capabilities"),
        {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
    ),
    "non-root": (("spec", "containers", 0, "securityContext", "runAsNonRoot"), False),
    "seccomp": (("spec", "containers", 0, "securityContext", "seccompProfile"), {"type": "Unconfined"}),
    "root filesystem": (("spec", "containers", 0, "securityContext", "readOnlyRootFilesystem"), False),
    "latest": (("spec", "containers", 0, "image"), "penstock/engine:latest"),
    "no tag": (("spec", "containers", 0, "image"), "images.example.com:5000/penstock/engine"),
    "requests": (("spec", "containers", 0, "resources", "requests"), {"cpu": 1}),
    "limits": (("spec", "containers", 0, "resources", "limits"), {}),
    "hostPort": (("spec", "containers", 0, "ports", 0, "hostPort"), 80),
}


@pytest.mark.parametrize("name", SPOILT)
def test_the_rules_see_an_offence(all_on: Rendered, name: str) -> None:
    steps, value = SPOILT[name]
    template = copy.deepcopy(pod(all_on, "hw-cpu").template)
    place: Any = template
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = value
    assert len(offences(Pod("spoilt", template))) == 1
