"""Made-up facts of a cluster with a release in it: a good one, to be changed in what a test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.doctor.cluster.examine import examine
from penstock.doctor.cluster.facts import (
    Application,
    Claim,
    ClusterFacts,
    Condition,
    Container,
    Event,
    Group,
    Needs,
    Node,
    Operator,
    Pod,
    RayCluster,
    Reference,
    Release,
    Service,
    StorageClass,
    Taint,
    Toleration,
)
from penstock.doctor.findings import Finding, Level

GIB = 2.0**30
NOW = 2e9
GPU = "nvidia.com/gpu"
L4 = "nvidia-l4"
PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-L4"}
GPU_TAINT = Taint(GPU, "", "NoSchedule")
GPU_TOLERATION = Toleration(GPU, "Exists", "", "NoSchedule")


def node(name: str = "cpu-1", *, cpu: float = 8, memory: float = 32, used: float = 0, **more: Any) -> Node:
    """A node with so many processors and GiB, and so many processors in use."""
    offered = {"cpu": cpu, "memory": memory * GIB, "pods": 110.0, **more.pop("devices", {})}
    return Node(name, offered=offered, used={"cpu": used, **more.pop("taken", {})}, **more)


def gpu_node(name: str = "gpu-1", **more: Any) -> Node:
    """A node with two L4, labelled and tainted as clouds do."""
    given = {"devices": {GPU: 2.0}, "labels": PRODUCT, "taints": (GPU_TAINT,), **more}
    return node(name, **given)


def needs(cpu: float = 1, memory: float = 2, **more: Any) -> Needs:
    """What a pod of so many processors and GiB asks."""
    requests = {"cpu": cpu, "memory": memory * GIB, "pods": 1.0, **more.pop("devices", {})}
    return Needs(requests, **more)


def l4_needs(**more: Any) -> Needs:
    """What a pod of the preset nvidia-l4 asks."""
    given = {"devices": {GPU: 1.0}, "node_selector": PRODUCT, "tolerations": (GPU_TOLERATION,), **more}
    return needs(3, 12, **given)


def pod(component: str, name: str = "", **more: Any) -> Pod:
    """A pod that is well."""
    name = name or f"penstock-abcde-{component}-x"
    good = Pod(
        name,
        component,
        phase="Running",
        node="cpu-1",
        conditions=(Condition("Ready", "True"),),
        containers=(Container("ray", "penstock/gateway:1", ready=True),),
        needs=needs(),
    )
    return replace(good, **more)


def waiting(component: str, wishes: Needs, **more: Any) -> Pod:
    """A pod that no node takes."""
    said = Condition("PodScheduled", "False", "Unschedulable", "0/2 nodes are available: 2 of some sort.")
    return pod(component, phase="Pending", node="", conditions=(said,), containers=(), needs=wishes, **more)


def release(**changes: Any) -> Release:
    """A RayService with two models that serve: `chat` on an L4, `small` on processors."""
    good = Release(
        name="penstock",
        release="penstock",
        generation=1,
        observed=1,
        conditions=(Condition("Ready", "True", "NonZeroServeEndpoints"),),
        groups=(
            Group("head", "head", "", needs()),
            Group("gateway", "gateway", "", needs()),
            Group("hw-cpu", "engine", "cpu", needs(2, 8)),
            Group("hw-nvidia-l4", "engine", L4, l4_needs()),
        ),
        applications=(
            Application("model-chat", "chat", "RUNNING"),
            Application("model-small", "small", "RUNNING"),
            Application("gateway", "", "RUNNING"),
        ),
        secrets=(Reference("penstock-ray-token", "the token"),),
        cluster="penstock-abcde",
    )
    return replace(good, **changes)


def cluster(**changes: Any) -> ClusterFacts:
    """A cluster in which nothing is wrong."""
    good = ClusterFacts(
        context="prod",
        namespace="models",
        contexts=("prod",),
        server="https://10.0.0.1:6443",
        version="v1.33.1",
        namespace_exists=True,
        knows_rayservice=True,
        operators=(Operator("kuberay-operator", "kuberay-system", 1, "kuberay/operator:v1.6.2"),),
        releases=("penstock",),
        release=release(),
        clusters=(RayCluster("penstock-abcde", "ready"),),
        nodes=(node(), gpu_node()),
        pods=(pod("head"), pod("gateway"), pod("engine", hardware="cpu")),
        claims=(),
        storage_classes=(StorageClass("standard", default=True),),
        secrets=frozenset({"penstock-ray-token"}),
        service=Service("penstock", "ClusterIP", 8000, 1),
        ingress_classes=frozenset({"nginx"}),
        clock=NOW,
    )
    return replace(good, **changes)


def with_pods(*more: Pod, **changes: Any) -> ClusterFacts:
    """The good cluster with further pods."""
    return cluster(pods=(*(cluster().pods or ()), *more), **changes)


def with_claim(claim: Claim | None, **changes: Any) -> ClusterFacts:
    """The good cluster, with a release that mounts the claim `weights`."""
    named = release(claims=(Reference("weights", "engine pods"),))
    return cluster(release=named, claims=(claim,) if claim else (), **changes)


def event(name: str, reason: str, message: str = "", *, kind: str = "Pod", ago: float = 5.0) -> Event:
    """What Kubernetes noted a while ago."""
    return Event(kind, name, reason, message, NOW - ago)


def bad(facts: ClusterFacts) -> list[Finding]:
    """Its problems and warnings."""
    return [finding for finding in examine(facts) if finding.level in (Level.PROBLEM, Level.WARNING)]


def one(facts: ClusterFacts, level: Level = Level.PROBLEM) -> Finding:
    """Its only problem or warning, of this level, with a remedy."""
    found = bad(facts)
    assert len(found) == 1, found
    assert found[0].level is level, found
    assert found[0].remedy, found
    return found[0]
