"""What the cluster says of a release and of what stands around it, as facts. Pure: objects as JSON in, values out.

Used by `gather`. Reads as far as it goes, as `reading_pods` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from penstock.doctor.cluster.facts import (
    Application,
    Claim,
    Deployment,
    Event,
    Group,
    Ingress,
    Operator,
    RayCluster,
    Reference,
    Release,
    Service,
    StorageClass,
)
from penstock.doctor.cluster.reading_pods import (
    COMPONENT,
    HARDWARE,
    claims_of,
    conditions,
    items,
    names,
    needs,
    number,
    secrets_of,
    section,
    text,
    texts,
    timestamp,
)

INSTANCE = "app.kubernetes.io/instance"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def release_of(rayservice: Any) -> str:
    """Name of the Helm release that a RayService belongs to."""
    return text(rayservice, "metadata", "labels", INSTANCE)


def release(rayservice: Any) -> Release:
    """The RayService of a release."""
    spec, status = section(rayservice, "spec"), section(rayservice, "status")
    cluster = section(spec, "rayClusterConfig")
    templates = list(_templates(cluster))
    active, pending = section(status, "activeServiceStatus"), section(status, "pendingServiceStatus")
    # Before the first cluster serves, only the one that is to take over has anything to say.
    telling = active if text(active, "rayClusterName") else pending
    return Release(
        name=text(rayservice, "metadata", "name"),
        release=release_of(rayservice),
        generation=number(rayservice, "metadata", "generation"),
        observed=number(status, "observedGeneration"),
        conditions=conditions(status),
        groups=tuple(
            Group(name, _label(template, COMPONENT), _label(template, HARDWARE), needs(section(template, "spec")))
            for name, template in templates
        ),
        applications=tuple(_applications(text(spec, "serveConfigV2"), section(telling, "applicationStatuses"))),
        secrets=_once([*_cluster_secrets(cluster), *_all(templates, secrets_of)]),
        claims=_once(_all(templates, claims_of)),
        cluster=text(active, "rayClusterName"),
        pending=text(pending, "rayClusterName"),
    )


def _templates(cluster: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "head", section(cluster, "headGroupSpec", "template")
    for group in items(cluster, "workerGroupSpecs"):
        yield text(group, "groupName"), section(group, "template")


def _label(template: Any, label: str) -> str:
    return text(template, "metadata", "labels", label)


def _all(templates: Iterable[tuple[str, Any]], find: Any) -> list[Reference]:
    found: list[Reference] = []
    for name, template in templates:
        component = _label(template, COMPONENT)
        kind = f"{component or name} pods"
        found += find(section(template, "spec"), kind)
    return found


def _cluster_secrets(cluster: Any) -> Iterator[Reference]:
    if name := text(cluster, "authOptions", "secretName"):
        yield Reference(name, "the token of Ray's ports (rayToken.existingSecret)")
    redis = section(cluster, "gcsFaultToleranceOptions", "redisPassword", "valueFrom", "secretKeyRef")
    if name := text(redis, "name"):
        yield Reference(name, "the password of Redis (cluster.redis.password)")


def _once(found: Iterable[Reference]) -> tuple[Reference, ...]:
    by_name: dict[str, list[str]] = {}
    for reference in found:
        users = by_name.setdefault(reference.name, [])
        if reference.used_by not in users:
            users.append(reference.used_by)
    return tuple(Reference(name, ", ".join(users)) for name, users in by_name.items())


def _applications(serve_config: str, statuses: Mapping[str, Any]) -> Iterator[Application]:
    try:
        wanted = items(yaml.safe_load(serve_config), "applications")
    except yaml.YAMLError:
        wanted = []
    models = {text(application, "name"): text(application, "args", "name") for application in wanted}
    for name in {**models, **statuses}:
        said = section(statuses, name)
        deployments = section(said, "serveDeploymentStatuses")
        yield Application(
            name,
            models.get(name, ""),
            text(said, "status"),
            text(said, "message"),
            tuple(
                Deployment(deployment, text(state, "status"), text(state, "message"))
                for deployment, state in deployments.items()
            ),
        )


def ray_cluster(listed: Any) -> RayCluster:
    status = section(listed, "status")
    return RayCluster(
        text(listed, "metadata", "name"), text(status, "state"), text(status, "reason"), conditions(status)
    )


def is_operator(deployment: Any) -> bool:
    """Whether a Deployment is KubeRay's operator, however it was installed."""
    labels = texts(deployment, "metadata", "labels")
    named = {labels.get("app.kubernetes.io/name"), labels.get(COMPONENT), text(deployment, "metadata", "name")}
    return "kuberay-operator" in named


def operator(deployment: Any) -> Operator:
    containers = items(deployment, "spec", "template", "spec", "containers")
    return Operator(
        text(deployment, "metadata", "name"),
        text(deployment, "metadata", "namespace"),
        number(deployment, "status", "availableReplicas"),
        text(containers[0], "image") if containers else "",
    )


def claim(listed: Any) -> Claim:
    named = section(listed, "spec").get("storageClassName")
    size = section(listed, "spec", "resources", "requests").get("storage", "")
    return Claim(
        text(listed, "metadata", "name"),
        text(listed, "status", "phase") or "Pending",
        named if isinstance(named, str) else None,
        str(size),
    )


def storage_class(listed: Any) -> StorageClass:
    default = texts(listed, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    return StorageClass(text(listed, "metadata", "name"), default)


def event(listed: Any) -> Event:
    about = section(listed, "involvedObject")
    times = (
        text(listed, "series", "lastObservedTime"),
        text(listed, "lastTimestamp"),
        text(listed, "eventTime"),
        text(listed, "metadata", "creationTimestamp"),
    )
    return Event(
        text(about, "kind"),
        text(about, "name"),
        text(listed, "reason"),
        text(listed, "message"),
        max(timestamp(time) for time in times),
    )


def service(listed: Any, slices: Iterable[Any]) -> Service:
    """The chart's Service with its EndpointSlices."""
    ports = items(listed, "spec", "ports")
    endpoints = [endpoint for found in slices for endpoint in items(found, "endpoints")]
    # Not told is ready, as Kubernetes has it.
    ready = [section(endpoint, "conditions").get("ready") is not False for endpoint in endpoints]
    return Service(
        text(listed, "metadata", "name"),
        text(listed, "spec", "type") or "ClusterIP",
        number(ports[0], "port") if ports else 0,
        ready.count(True),
        ready.count(False),
        _addresses(listed),
    )


def ingress(listed: Any) -> Ingress:
    return Ingress(
        text(listed, "metadata", "name"),
        text(listed, "spec", "ingressClassName"),
        tuple(text(rule, "host") for rule in items(listed, "spec", "rules") if text(rule, "host")),
        _addresses(listed),
    )


def _addresses(listed: Any) -> tuple[str, ...]:
    return tuple(
        text(found, "hostname") or text(found, "ip") for found in items(listed, "status", "loadBalancer", "ingress")
    )


def secret_names(table: Any) -> frozenset[str]:
    """The names in a server's table of Secrets, whose other cells are type, number of keys, and age."""
    rows = [row.get("cells") for row in items(table, "rows")]
    return frozenset(name for cells in rows for name in names(cells)[:1])
