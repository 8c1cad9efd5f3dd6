"""Looks at a cluster once. Thin: what it means is decided by `examine`. Called by `penstock doctor --context`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from penstock.doctor.cluster import reading_pods, reading_release
from penstock.doctor.cluster.api import Cluster, KubeconfigError, RefusedError, UnreachableError
from penstock.doctor.cluster.facts import ClusterFacts, Service, Trouble, Unread

T = TypeVar("T")

_RAY = "/apis/ray.io/v1"
_PART_OF = "app.kubernetes.io/part-of=penstock"
_NODE_AUTOSCALERS = ("karpenter.sh", "autoscaling.x-k8s.io")
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


def gather(context: str, namespace: str = "", release: str = "") -> ClusterFacts:
    """Facts of a release. Takes seconds.

    Args:
        context: a context of the kubeconfig.
        namespace: empty: the context's.
        release: name of the Helm release; empty: the one that is there.
    """
    try:
        with Cluster(context) as cluster:
            return _Look(cluster, context, namespace or cluster.namespace, release).facts()
    except KubeconfigError as error:
        return ClusterFacts(context, namespace, Trouble.KUBECONFIG, str(error), error.contexts)


class _Look:
    """One look. Remembers what could not be read."""

    def __init__(self, cluster: Cluster, context: str, namespace: str, wanted: str) -> None:
        self._cluster = cluster
        self._context = context
        self._namespace = namespace
        self._wanted = wanted
        self._here = f"/api/v1/namespaces/{namespace}"
        self._unread: list[Unread] = []

    def facts(self) -> ClusterFacts:
        basis: dict[str, Any] = {
            "context": self._context,
            "namespace": self._namespace,
            "contexts": self._cluster.contexts,
            "server": self._cluster.server,
            "wanted": self._wanted,
            "clock": time.time(),
        }
        try:
            basis["version"] = reading_pods.text(self._cluster.get("/version"), "gitVersion")
            return ClusterFacts(**basis, **self._surroundings(), **self._release(), unread=tuple(self._unread))
        except RefusedError as error:
            trouble = Trouble.UNAUTHORIZED if error.status in (401, 403) else Trouble.UNREACHABLE
            return ClusterFacts(**basis, trouble=trouble, error=str(error))
        except UnreachableError as error:
            return ClusterFacts(**basis, trouble=Trouble.UNREACHABLE, error=str(error))

    def _surroundings(self) -> dict[str, Any]:
        groups = self._read("the cluster's APIs", lambda: self._cluster.get("/apis"))
        named = {reading_pods.text(group, "name") for group in reading_pods.items(groups, "groups")}
        deployments = self._list("deployments of all namespaces", "/apis/apps/v1/deployments")
        operators = [found for found in deployments or () if reading_release.is_operator(found)]
        pods = self._list("pods of all namespaces", "/api/v1/pods", fields=_NOT_ENDED)
        nodes = self._list("nodes", "/api/v1/nodes")
        classes = self._list("storage classes", "/apis/storage.k8s.io/v1/storageclasses")
        ingress_classes = self._list("ingress classes", "/apis/networking.k8s.io/v1/ingressclasses")
        return {
            "knows_rayservice": None if groups is None else self._knows_rayservice("ray.io" in named),
            "node_autoscaler": any(name in named for name in _NODE_AUTOSCALERS) or self._cluster_autoscaler(),
            "operators": None if deployments is None else tuple(map(reading_release.operator, operators)),
            "nodes": None if nodes is None else reading_pods.nodes(nodes, pods),
            "storage_classes": None if classes is None else tuple(map(reading_release.storage_class, classes)),
            "ingress_classes": None if ingress_classes is None else _names(ingress_classes),
        }

    def _knows_rayservice(self, group: bool) -> bool:
        if not group:
            return False
        try:
            kinds = reading_pods.items(self._cluster.get(_RAY), "resources")
        except RefusedError:
            return False
        return any(reading_pods.text(kind, "name") == "rayservices" for kind in kinds)

    def _cluster_autoscaler(self) -> bool:
        try:
            self._cluster.get("/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status")
        except RefusedError:
            return False
        return True

    def _release(self) -> dict[str, Any]:
        listed = self._rayservices()
        known = {reading_release.release_of(found): found for found in listed}
        chosen = self._wanted or (next(iter(known)) if len(known) == 1 else "")
        found: dict[str, Any] = {"namespace_exists": self._namespace_exists(), "releases": tuple(sorted(known))}
        if chosen not in known:
            return found
        labels = f"{reading_release.INSTANCE}={chosen}"
        release = reading_release.release(known[chosen])
        clusters = self._list("RayClusters", f"{_RAY}/namespaces/{self._namespace}/rayclusters")
        pods = self._list("pods", f"{self._here}/pods", labels=labels)
        claims = self._list("claims", f"{self._here}/persistentvolumeclaims")
        events = self._list("events", f"{self._here}/events")
        ingresses = self._list(
            "ingresses", f"/apis/networking.k8s.io/v1/namespaces/{self._namespace}/ingresses", labels=labels
        )
        secrets = self._read("names of Secrets", lambda: self._cluster.secret_table(self._namespace))
        mine = (release.cluster, release.pending)
        return {
            **found,
            "release": release,
            "clusters": tuple(seen for seen in map(reading_release.ray_cluster, clusters or ()) if seen.name in mine),
            "pods": None if pods is None else tuple(map(reading_pods.pod, pods)),
            "claims": None if claims is None else tuple(map(reading_release.claim, claims)),
            "secrets": None if secrets is None else reading_release.secret_names(secrets),
            "events": tuple(map(reading_release.event, events or ())),
            "service": self._service(labels),
            "ingresses": tuple(map(reading_release.ingress, ingresses or ())),
        }

    def _rayservices(self) -> Sequence[Any]:
        path = f"{_RAY}/namespaces/{self._namespace}/rayservices"
        try:
            return self._cluster.list(path, labels=_PART_OF)
        except RefusedError as error:
            # Where KubeRay is not installed there are none, which is told elsewhere.
            if error.status != 404:
                self._unread.append(Unread("RayServices", str(error)))
            return ()

    def _namespace_exists(self) -> bool | None:
        try:
            self._cluster.get(self._here)
        except RefusedError as error:
            return False if error.status == 404 else None
        return True

    def _service(self, labels: str) -> Service | None:
        found = self._list(
            "services", f"{self._here}/services", labels=f"{labels},{_PART_OF},{reading_pods.COMPONENT}=gateway"
        )
        if not found:
            return None
        name = reading_pods.text(found[0], "metadata", "name")
        slices = self._list(
            "endpoints",
            f"/apis/discovery.k8s.io/v1/namespaces/{self._namespace}/endpointslices",
            labels=f"kubernetes.io/service-name={name}",
        )
        return None if slices is None else reading_release.service(found[0], slices)

    def _list(self, what: str, path: str, *, labels: str = "", fields: str = "") -> list[dict[str, Any]] | None:
        return self._read(what, lambda: self._cluster.list(path, labels=labels, fields=fields))

    def _read(self, what: str, how: Callable[[], T]) -> T | None:
        try:
            return how()
        except RefusedError as error:
            self._unread.append(Unread(what, str(error)))
            return None


def _names(listed: Sequence[Any]) -> frozenset[str]:
    return frozenset(reading_pods.text(found, "metadata", "name") for found in listed)
