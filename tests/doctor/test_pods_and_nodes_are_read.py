"""Pods and nodes as the API sends them, read as the scheduler and the kubelet mean them."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.doctor.cluster import reading_pods, reading_release
from penstock.doctor.cluster.facts import Ended, Expression, Reference, Taint, Toleration


def container(cpu: str = "", *, limit: str = "", **more: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu} if cpu else {}, "limits": {"cpu": limit} if limit else {}}
    return {"name": "c", "resources": resources, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("500m"), container("1")]}, 1.5),
        ({"containers": [container(limit="2")]}, 2.0),
        ({"containers": [container("1", limit="2")]}, 1.0),
        ({"containers": [container("1")], "initContainers": [container("3"), container("2")]}, 3.0),
        ({"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, 2.0),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("1", restartPolicy="Always"), container("4")],
            },
            5.0,
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1.25),
    ],
)
def test_a_pod_asks_for_what_the_scheduler_counts(spec: dict[str, Any], cpu: float) -> None:
    assert reading_pods.needs(spec).requests == {"cpu": cpu, "pods": 1.0}


def test_wishes_about_nodes_are_read() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}, {"matchFields": []}]
    found = reading_pods.needs(
        {
            "tolerations": [{"key": "gpu", "operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute"}],
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
            },
        }
    )
    assert found.tolerations == (Toleration("gpu", "Exists"), Toleration("a", "Equal", "b", "NoExecute"))
    assert found.affinity == ((Expression("zone", "In", ("a",)),), ())


def test_a_cordoned_node_has_its_taint_once() -> None:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    cordoned = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    both = {"metadata": {"name": "n"}, "spec": {"unschedulable": True, "taints": [taint]}}
    for node in reading_pods.nodes([cordoned, both], None):
        assert node.taints == (Taint("node.kubernetes.io/unschedulable"),)
        assert node.used is None


def test_pods_that_have_ended_use_nothing_of_their_node() -> None:
    pods = [
        {"spec": {"nodeName": "n", "containers": [container("1")]}, "status": {"phase": phase}}
        for phase in ("Running", "Succeeded", "Failed")
    ]
    (node,) = reading_pods.nodes([{"metadata": {"name": "n"}}], pods)
    assert node.used == {"cpu": 1.0, "pods": 1.0}


def test_a_container_says_how_it_ended_now_or_the_last_time() -> None:
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "message": "m"}}
    read = reading_pods.pod(
        {
            "metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": [container(image="i:1")], "initContainers": [{"name": "before", "image": "i:2"}]},
            "status": {
                "initContainerStatuses": [{"name": "before", "state": ended}],
                "containerStatuses": [
                    {
                        "name": "c",
                        "restartCount": 2,
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                        "lastState": ended,
                    }
                ],
            },
        }
    )
    assert read.deleting
    before, main = read.containers
    assert (before.image, before.ended) == ("i:2", Ended("OOMKilled", 137, "m"))
    assert (main.image, main.restarts, main.waiting, main.message) == ("i:1", 2, "CrashLoopBackOff", "back-off")
    assert main.ended == Ended("OOMKilled", 137, "m")


def test_secrets_that_may_be_absent_are_not_asked_for() -> None:
    key = {"name": "keys", "key": "k"}
    spec = {
        "containers": [
            container(
                env=[
                    {"name": "A", "valueFrom": {"secretKeyRef": key}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {**key, "name": "maybe", "optional": True}}},
                ],
                envFrom=[{"secretRef": {"name": "s3"}}],
            )
        ],
        "volumes": [{"secret": {"secretName": "gcs"}}, {"emptyDir": {}}],
        "imagePullSecrets": [{"name": "registry"}],
    }
    assert list(reading_pods.secrets_of(spec, "engine pods")) == [
        Reference("keys", "engine pods"),
        Reference("s3", "engine pods"),
        Reference("gcs", "engine pods"),
        Reference("registry", "pulling images of engine pods"),
    ]


def test_the_password_of_redis_and_the_token_are_named_by_the_values_they_come_from() -> None:
    reference = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    cluster = {"authOptions": {"secretName": "token"}, "gcsFaultToleranceOptions": {"redisPassword": reference}}
    found = reading_release.release({"spec": {"rayClusterConfig": cluster}})
    assert [named.name for named in found.secrets] == ["token", "redis"]
    assert "cluster.redis.password" in found.secrets[1].used_by


def test_before_a_cluster_serves_the_one_that_is_to_take_over_speaks() -> None:
    pending = {"rayClusterName": "new", "applicationStatuses": {"gateway": {"status": "DEPLOYING"}}}
    found = reading_release.release({"status": {"activeServiceStatus": {}, "pendingServiceStatus": pending}})
    assert (found.cluster, found.pending) == ("", "new")
    assert [(seen.name, seen.status) for seen in found.applications] == [("gateway", "DEPLOYING")]


def test_a_serve_configuration_that_is_none_leaves_what_serve_reports() -> None:
    found = reading_release.release({"spec": {"serveConfigV2": "a: ["}})
    assert found.applications == ()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2026-01-01T00:00:00Z", 1767225600.0), ("2026-01-01T00:00:00.5Z", 1767225600.5), ("x", 0.0)],
)
def test_times_are_read(written: str, seconds: float) -> None:
    assert reading_release.event({"lastTimestamp": written}).last == seconds
