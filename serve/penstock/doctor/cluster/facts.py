"""What was seen of a cluster and of one release in it, as plain values.

Leaf: `reading_pods` and `reading_release` make these of what the cluster says, the checks read them. None means that it
could not be read (whoever looks may lack the right), never that it is fine. Processors are in cores, memory in bytes,
times since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Trouble(StrEnum):
    """Why a cluster was not looked at."""

    KUBECONFIG = "kubeconfig"
    """The kubeconfig cannot be read, or has no such context."""
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    """The cluster does not know who asks."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as every object of Kubernetes has them. `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """An empty key tolerates all keys, an empty effect all effects."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """What a node affinity asks of one label."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a pod asks of its node. Any one term of `affinity` suffices; no term is no wish."""

    requests: Mapping[str, float] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    affinity: tuple[tuple[Expression, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """`offered` is what pods may have of it; `used` what those on it have, None where that is not known."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    offered: Mapping[str, float] = field(default_factory=dict)
    used: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended."""

    reason: str = ""
    exit_code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """`waiting` is why it does not run; `ended` how it ended, now or the last time."""

    name: str
    image: str = ""
    ready: bool = False
    restarts: int = 0
    waiting: str = ""
    message: str = ""
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the release. `component` is head, gateway, engine or weights."""

    name: str
    component: str
    hardware: str = ""
    phase: str = "Pending"
    node: str = ""
    reason: str = ""
    message: str = ""
    deleting: bool = False
    conditions: tuple[Condition, ...] = ()
    containers: tuple[Container, ...] = ()
    needs: Needs = field(default_factory=Needs)

    @property
    def ready(self) -> bool:
        return any(seen.type == "Ready" and seen.status == "True" for seen in self.conditions)


@dataclass(frozen=True, slots=True)
class Group:
    """A kind of pods that the release asks for, whether one is there or not."""

    name: str
    component: str
    hardware: str = ""
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True, slots=True)
class Reference:
    """A Secret or claim that the release names, and what for."""

    name: str
    used_by: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a Serve application."""

    name: str
    status: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """A Serve application; `model` is empty for the gateways'. An empty status: Serve has said nothing of it."""

    name: str
    model: str = ""
    status: str = ""
    message: str = ""
    deployments: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """The RayService, with what follows from its spec."""

    name: str
    release: str
    generation: int = 0
    observed: int = 0
    """The generation that KubeRay has acted on."""
    conditions: tuple[Condition, ...] = ()
    groups: tuple[Group, ...] = ()
    applications: tuple[Application, ...] = ()
    secrets: tuple[Reference, ...] = ()
    claims: tuple[Reference, ...] = ()
    cluster: str = ""
    """The RayCluster that serves; empty before there is one."""
    pending: str = ""
    """The RayCluster that is to take over."""


@dataclass(frozen=True, slots=True)
class RayCluster:
    name: str
    state: str = ""
    reason: str = ""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Operator:
    """KubeRay's operator."""

    name: str
    namespace: str
    available: int = 0
    image: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    name: str
    phase: str = "Pending"
    storage_class: str | None = None
    size: str = ""


@dataclass(frozen=True, slots=True)
class StorageClass:
    name: str
    default: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """What Kubernetes noted about an object."""

    kind: str
    name: str
    reason: str
    message: str = ""
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Service:
    """The chart's own, before the gateways. The numbers are of its endpoints."""

    name: str
    type: str = "ClusterIP"
    port: int = 0
    ready: int = 0
    not_ready: int = 0
    external: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingress:
    name: str
    class_name: str = ""
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """All of it."""

    context: str
    namespace: str
    trouble: Trouble | None = None
    error: str = ""
    """What was said with the trouble."""
    contexts: tuple[str, ...] = ()
    """Contexts that the kubeconfig has."""
    server: str = ""
    version: str = ""
    namespace_exists: bool | None = None
    knows_rayservice: bool | None = None
    """Whether KubeRay's resource definitions are installed."""
    node_autoscaler: bool = False
    """Whether something makes nodes when pods wait."""
    operators: tuple[Operator, ...] | None = None
    wanted: str = ""
    """The release that was asked for; empty: any."""
    releases: tuple[str, ...] = ()
    """Releases of Penstock in the namespace."""
    release: Release | None = None
    clusters: tuple[RayCluster, ...] = ()
    nodes: tuple[Node, ...] | None = None
    pods: tuple[Pod, ...] | None = None
    claims: tuple[Claim, ...] | None = None
    storage_classes: tuple[StorageClass, ...] | None = None
    secrets: frozenset[str] | None = None
    """Names alone; what is in them is not read."""
    events: tuple[Event, ...] = ()
    service: Service | None = None
    ingresses: tuple[Ingress, ...] = ()
    ingress_classes: frozenset[str] | None = None
    unread: tuple[Unread, ...] = ()
    clock: float = 0.0
