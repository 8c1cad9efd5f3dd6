"""The chart's values: what stands beside the document's keys. The one definition of `values.yaml`, of its schema and of
the table in the chart's README."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from penstock.chart.pods import EnginePods, GatewayPods, HeadPods, Resources
from penstock.config import Document
from penstock.config.base import Section
from penstock.config.hardware import Quantity
from penstock.config.units import Duration, Port


class GatewayImage(Section):
    """The image of the head and the gateways: Ray and Penstock."""

    repository: str = "penstock/gateway"
    """Its name, without the registry."""

    tag: str = ""
    """Default: the chart's appVersion."""

    digest: str = Field(default="", pattern=r"^(sha256:[0-9a-f]{64})?$")
    """`sha256:...`; wins over the tag."""


class EngineImage(Section):
    """The image of the engines: Ray, Penstock and vLLM. Ray and Python are equal to the gateway image's."""

    repository: str = "penstock/engine"
    """Its name, without the registry."""

    tag: str = ""
    """Default: the chart's appVersion with `-cuda` where the hardware has NVIDIA GPUs, else `-cpu`."""

    digest: str = Field(default="", pattern=r"^(sha256:[0-9a-f]{64})?$")
    """`sha256:...`; wins over the tag."""

    tags: dict[str, str] = Field(default_factory=dict)
    """Tags by hardware profile, where one profile needs an image of its own."""


class Image(Section):
    """Where images come from."""

    registry: str = ""
    """Put before both repositories: `registry.example.com:5000`."""

    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When a node pulls."""

    gateway: GatewayImage = Field(default_factory=GatewayImage)
    """The image of the head and the gateways."""

    engine: EngineImage = Field(default_factory=EngineImage)
    """The image of the engines."""


class SecretKey(Section):
    """A key of a Secret that is there already. Values never hold a secret."""

    name: str = ""
    """Name of the Secret; empty: none."""

    key: str = ""
    """Key in it."""


class Redis(Section):
    """Ray's control store in a Redis outside, so that the loss of the head pod loses no replica. Not shared between
    releases without a namespace of its own in it: Ray chooses one per cluster."""

    address: str = ""
    """`host:port`; empty: the control store lives and dies with the head pod."""

    username: str = ""
    """User of the Redis."""

    password: SecretKey = Field(default_factory=lambda: SecretKey(key="password"))
    """Where the password stands."""


class Autoscaler(Section):
    """Ray's autoscaler, a container of the head pod, which makes and removes engine pods."""

    resources: Resources = Field(
        default_factory=lambda: Resources(requests={"cpu": "200m", "memory": "512Mi"}, limits={"memory": "1Gi"})
    )
    """Of its container."""


class Cluster(Section):
    """The Ray cluster that KubeRay makes."""

    head: HeadPods = Field(default_factory=HeadPods)
    """The head."""

    gateway: GatewayPods = Field(default_factory=GatewayPods)
    """The gateways."""

    engine: EnginePods = Field(default_factory=EnginePods)
    """The engines."""

    autoscaler: Autoscaler = Field(default_factory=Autoscaler)
    """Ray's autoscaler."""

    redis: Redis = Field(default_factory=Redis)
    """Fault tolerance of the control store."""


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


class ModelCache(Section):
    """Where downloaded weights are kept: mounted at `weights.cache` in every engine pod."""

    type: Literal["emptyDir", "hostPath", "persistentVolumeClaim"] = "emptyDir"
    """`emptyDir`: each pod downloads for itself. `hostPath`: once a node. `persistentVolumeClaim`: once a cluster, if
    the claim can be mounted by many nodes. The restricted Pod Security profile refuses hostPath."""

    path: str = "/var/cache/penstock"
    """Folder of the node, with type hostPath. It must be there and belong to user 1000:
    `install -d -o 1000 /var/cache/penstock`."""

    existing_claim: str = ""
    """A claim that is there already; empty: the chart makes one, which outlives the release."""

    size: Quantity = "100Gi"
    """Size of the claim, or limit of the emptyDir."""

    storage_class_name: str | None = None
    """Storage class of the claim; default: the cluster's."""

    access_modes: list[str] = Field(default_factory=lambda: ["ReadWriteMany"])
    """Access modes of the claim."""

    download: bool = False
    """Whether a Job downloads all weights at each install and upgrade, also those of models at zero. It runs beside the
    engines. Needs type persistentVolumeClaim."""


class Secrets(Section):
    """Secrets that are there already, by name. None of them is copied."""

    hub: SecretKey = Field(default_factory=lambda: SecretKey(key="token"))
    """Token for the Hugging Face hub; becomes HF_TOKEN in engine pods."""

    s3: SecretKey = Field(default_factory=SecretKey)
    """Its keys, such as AWS_ACCESS_KEY_ID, become variables of engine pods. An identity of the service account is
    better."""

    gcs: SecretKey = Field(default_factory=lambda: SecretKey(key="credentials.json"))
    """A file of Google credentials. An identity of the service account is better."""


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


class Budget(Section):
    """A PodDisruptionBudget: how many of these pods a drain of nodes must leave."""

    enabled: bool = False
    """Whether there is one."""

    min_available: int = Field(default=1, ge=0)
    """Pods that stay. It must be less than there are, or no node can be drained."""


class Budgets(Section):
    """PodDisruptionBudgets."""

    gateway: Budget = Field(default_factory=Budget)
    """Of the gateways."""

    engine: Budget = Field(default_factory=Budget)
    """Of the engines, per hardware profile."""

    head: Budget = Field(default_factory=Budget)
    """Of the head. It is one pod: with 1, draining its node waits for a person."""


class PodMonitor(Section):
    """The Prometheus operator's PodMonitors, of gateways and of Ray."""

    enabled: bool = False
    """Whether there are any."""

    interval: Duration = 15.0
    """Time between two readings."""

    labels: dict[str, str] = Field(default_factory=dict)
    """More labels, by which the Prometheus at hand finds them."""


class PrometheusRule(Section):
    """Alerts, each with a page in docs/runbooks."""

    enabled: bool = False
    """Whether there are any."""

    labels: dict[str, str] = Field(default_factory=dict)
    """More labels, by which the Prometheus at hand finds them."""

    runbook_base: str = "https://github.com/penstock-ai/penstock/blob/main/docs/runbooks"
    """Where the pages are."""

    disabled: list[str] = Field(default_factory=list)
    """Names of alerts to leave out."""


class Dashboard(Section):
    """A Grafana dashboard in a ConfigMap."""

    enabled: bool = False
    """Whether there is one."""

    labels: dict[str, str] = Field(default_factory=lambda: {"grafana_dashboard": "1"})
    """Labels by which Grafana's sidecar finds it."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""


class Monitoring(Section):
    """Metrics, alerts and a dashboard."""

    pod_monitor: PodMonitor = Field(default_factory=PodMonitor)
    """Metrics."""

    prometheus_rule: PrometheusRule = Field(default_factory=PrometheusRule)
    """Alerts."""

    dashboard: Dashboard = Field(default_factory=Dashboard)
    """The dashboard."""


class ServiceAccount(Section):
    """The identity of engine and gateway pods. It has no rights in the cluster, and no token is mounted."""

    create: bool = True
    """Whether the chart makes it."""

    name: str = ""
    """Its name; default: the release's."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations that bind it to an identity of the cloud, for buckets of weights."""


class RayToken(Section):
    """The token that Ray's own ports ask for."""

    existing_secret: str = ""
    """A Secret with the key auth_token. Empty: KubeRay makes a random one for each Ray cluster. One of yours must
    outlive the release: KubeRay still needs it while it tidies up in Redis."""


class ChartValues(Document):
    """The document, and beside it what only a cluster needs."""

    catalog: dict[str, bool] = Field(default_factory=dict)
    """Ready models of files/catalog.yaml that are switched on, by name: `--set catalog.qwen3-8b=true`. To change one,
    copy it to `models` instead."""

    image: Image = Field(default_factory=Image)
    """Where images come from."""

    image_pull_secrets: list[str] = Field(default_factory=list)
    """Names of Secrets for pulling images."""

    cluster: Cluster = Field(default_factory=Cluster)
    """The Ray cluster."""

    service: Service = Field(default_factory=Service)
    """The address inside the cluster."""

    ingress: Ingress = Field(default_factory=Ingress)
    """An Ingress."""

    http_route: HttpRoute = Field(default_factory=HttpRoute)
    """A route of the Gateway API."""

    model_cache: ModelCache = Field(default_factory=ModelCache)
    """Where downloaded weights are kept."""

    secrets: Secrets = Field(default_factory=Secrets)
    """Secrets by name."""

    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy)
    """Who may talk to the pods."""

    pod_disruption_budget: Budgets = Field(default_factory=Budgets)
    """How many pods a drain of nodes must leave."""

    monitoring: Monitoring = Field(default_factory=Monitoring)
    """Metrics, alerts and a dashboard."""

    service_account: ServiceAccount = Field(default_factory=ServiceAccount)
    """The identity of the pods."""

    ray_token: RayToken = Field(default_factory=RayToken)
    """The token of Ray's ports."""

    common_labels: dict[str, str] = Field(default_factory=dict)
    """Labels of every object and pod."""

    common_annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of every object."""

    name_override: str = ""
    """Instead of the chart's name in labels."""

    fullname_override: str = Field(default="", max_length=40)
    """Instead of the release's name in names of objects."""

    skip_capability_check: bool = False
    """Render without asking whether the cluster knows RayService. For `helm template`."""

    extra_objects: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Further Kubernetes objects by any name; templates in them are rendered."""

    global_: dict[str, Any] = Field(default_factory=dict, alias="global")
    """Values that Helm shares between charts. This chart reads none of them."""
