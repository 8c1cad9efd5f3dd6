"""The chart's values: what stands beside the document's keys. The one definition of `values.yaml`, of its schema and of
the table in the chart's README."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from penstock.chart.monitoring import Monitoring
from penstock.chart.network import HttpRoute, Ingress, NetworkPolicy, Service
from penstock.chart.pods import EnginePods, GatewayPods, HeadPods, Resources
from penstock.config import Document
from penstock.config.base import Section
from penstock.config.hardware import Quantity
from penstock.config.providers import ProviderName


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


class ProviderSecret(Section):
    """A key of a Secret that is there already, with the key of a provider."""

    name: str = ""
    """Name of the Secret; empty: none."""

    key: str = "key"
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

    keys: SecretKey = Field(default_factory=lambda: SecretKey(key="keys.yaml"))
    """A file of hashed keys, as `accounts.keysFile` has them; mounted in gateway pods, and read anew without a restart.
    Instead of the keys that the chart makes."""

    database: SecretKey = Field(default_factory=lambda: SecretKey(key="address"))
    """The address of the PostgreSQL that keeps keys, `postgresql://user:password@host:5432/name`; mounted in gateway
    pods as the file of `accounts.database`."""

    redis: SecretKey = Field(default_factory=lambda: SecretKey(key="address"))
    """The address of the Redis that limits are counted in, `redis://:password@host:6379/0`; mounted in gateway pods as
    the file of `accounts.limits.redis`. Ray's own is `cluster.redis`."""

    providers: dict[ProviderName, ProviderSecret] = Field(default_factory=dict)
    """Keys of `providers`, by the provider's name; mounted in gateway pods as the file of `providers.<name>.key`, and
    read anew without a restart. Another Secret's name makes new gateway pods."""

    test: SecretKey = Field(default_factory=lambda: SecretKey(key="user-key"))
    """A user's key that `helm test` sends. Default: the one that the chart makes, where it makes any."""


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


class ServiceAccount(Section):
    """The identity of engine pods. It has no rights in the cluster, and no token is mounted."""

    create: bool = True
    """Whether the chart makes it, and one for gateways, which need no identity of the cloud."""

    name: str = ""
    """Its name; default: the release's."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations that bind it to an identity of the cloud, for buckets of weights."""


class RayToken(Section):
    """The token that Ray's own ports ask for."""

    existing_secret: str = ""
    """A Secret with the key auth_token. Empty: KubeRay makes a random one for each Ray cluster. One of yours must
    outlive the release: KubeRay still needs it while it tidies up in Redis."""


class FirstKeys(Section):
    """The keys that let the first people in: an admin's, which makes others where there is a database, and a user's."""

    create: bool = True
    """Whether the chart makes them at install, in a Secret with `admin-key`, `user-key`, and the hashes that gateways
    read. An upgrade keeps them. It makes none where another list is named (`secrets.keys`, `accounts.keysFile`), or
    where nobody is asked for a key. Rendered without a cluster, by `helm template` and tools built on it, they would be
    others each time: name a Secret of your own there."""


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

    first_keys: FirstKeys = Field(default_factory=FirstKeys)
    """Keys made at install."""

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
