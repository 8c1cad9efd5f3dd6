"""What can be said of the pods of one kind. Plain Kubernetes where Kubernetes has a word for it; maps instead of lists,
so that values files merge."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from penstock.config.base import Section
from penstock.config.hardware import MAX_PODS, Quantity
from penstock.config.units import Duration


class Resources(Section):
    """Requests and limits of a container."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """What the scheduler keeps free."""

    limits: dict[str, Quantity] = Field(default_factory=dict)
    """What the container gets at most."""


class Pods(Section):
    """The pods of one kind."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must carry."""

    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes tolerations."""

    affinity: dict[str, Any] = Field(default_factory=dict)
    """Kubernetes affinity."""

    topology_spread_constraints: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes topology spread constraints; a missing `labelSelector` becomes the one of these pods."""

    priority_class_name: str = ""
    """Priority class."""

    labels: dict[str, str] = Field(default_factory=dict)
    """More labels."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """More annotations."""

    env: dict[str, Any] = Field(default_factory=dict)
    """More environment variables by name: a text, or what Kubernetes allows beside `name`, such as
    `{valueFrom: {secretKeyRef: {name: keys, key: token}}}`."""

    volumes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """More volumes by name: what Kubernetes allows beside `name`."""

    volume_mounts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Where those volumes are mounted, by name of the volume: `{mountPath: /data, readOnly: true}`."""


class HeadPods(Pods):
    """The head: Ray's control store, Serve's controller and the autoscaler. No request passes through it."""

    resources: Resources = Field(
        default_factory=lambda: Resources(requests={"cpu": 1, "memory": "4Gi"}, limits={"memory": "4Gi"})
    )
    """Of the Ray container."""

    service_account_name: str = ""
    """Its service account, which must be there; KubeRay gives it the autoscaler's rights. Empty: KubeRay makes one."""


class GatewayPods(Pods):
    """The gateways. How many there are, `gateway.replicas` says; each has a pod of its own."""

    resources: Resources = Field(
        default_factory=lambda: Resources(requests={"cpu": 1, "memory": "2Gi"}, limits={"memory": "2Gi"})
    )
    """Of the Ray container."""

    service_account_name: str = ""
    """Their service account, which must be there. Empty: the chart makes one without any rights."""

    max_pods: int = Field(default=32, ge=1)
    """Pods at most, whatever `gateway.replicas` says. Rollouts take a quarter more than that, at least one. A change
    makes a new Ray cluster, so leave room."""


class EnginePods(Pods):
    """The engines. Where they run and what they get, the profiles under `hardware` say."""

    resources: Resources = Field(
        default_factory=lambda: Resources(requests={"cpu": 2, "memory": "8Gi"}, limits={"memory": "8Gi"})
    )
    """Of pods whose hardware profile has no cpu or memory of its own."""

    max_pods: int = Field(default=MAX_PODS, ge=1)
    """Pods per hardware profile at most, whatever the replicas of the models say. In a cluster that makes no nodes, as
    many as it has places for: rollouts go by it. A change makes a new Ray cluster, so leave room."""

    idle_timeout: Duration = Field(default=60.0, gt=0)
    """A pod without a replica is removed after so long. Longer keeps a GPU node warm."""

    shared_memory: Quantity = "2Gi"
    """Size of /dev/shm, which tensor parallelism uses. It counts against the pod's memory."""
