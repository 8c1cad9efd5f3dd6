"""How the gateways are reached, and who may talk to whom."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from penstock.config.base import Section
from penstock.config.units import Port


class Service(Section):
    """The address inside the cluster. It selects the gateway pods; Ray is not on the way."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Kubernetes type of Service."""

    port: Port = 8000
    """Port of the Service."""

    node_port: Port | None = None
    """Port of the nodes, with type NodePort or LoadBalancer."""

    labels: dict[str, str] = Field(default_factory=dict)
    """More labels."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """More annotations."""


class Ingress(Section):
    """An Ingress to the Service. Switch response buffering off and set time limits of at least
    `gateway.longestRequest` in its annotations, in the words of the controller at hand."""

    enabled: bool = False
    """Whether there is one."""

    class_name: str = ""
    """Ingress class."""

    hosts: list[str] = Field(default_factory=list)
    """Host names."""

    path: str = "/"
    """Path prefix."""

    tls: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes' `tls`."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""


class HttpRoute(Section):
    """A route of the Gateway API to the Service."""

    enabled: bool = False
    """Whether there is one."""

    parent_refs: list[dict[str, Any]] = Field(default_factory=list)
    """The Gateways it belongs to."""

    hostnames: list[str] = Field(default_factory=list)
    """Host names."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""


class Peer(Section):
    """Pods that may reach a port."""

    namespace_selector: dict[str, Any] = Field(default_factory=dict)
    """Kubernetes' `namespaceSelector`; empty: every namespace."""

    pod_selector: dict[str, Any] = Field(default_factory=dict)
    """Kubernetes' `podSelector`; empty: every pod of those namespaces."""


class Egress(Section):
    """What engine and gateway pods may reach outside the cluster's own pods."""

    restricted: bool = False
    """Whether anything else is cut. DNS and the pods of this release always work."""

    allow: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes' egress rules that are added: the hub, the object store, Redis."""

    gateway: list[dict[str, Any]] = Field(default_factory=list)
    """Rules that are added for gateways alone, instead of those that the chart adds where they have a PostgreSQL, a
    Redis of limits, an issuer of tokens or providers to talk to: its port, on every address. The chart does not read
    addresses in Secrets."""


class NetworkPolicy(Section):
    """Who may talk to the pods. Ray's ports run code for whoever reaches them, so this is on."""

    enabled: bool = True
    """Whether there are policies."""

    clients: list[dict[str, Any]] = Field(default_factory=list)
    """Kubernetes' peers that may reach the gateways' address; empty: everybody."""

    operator: Peer = Field(
        default_factory=lambda: Peer(pod_selector={"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}})
    )
    """The KubeRay operator, which talks to the head's dashboard."""

    monitoring: Peer = Field(default_factory=Peer)
    """Who may read metrics."""

    egress: Egress = Field(default_factory=Egress)
    """What the pods may reach."""
