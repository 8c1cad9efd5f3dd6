"""What it costs while requests run that pods go: asked to, in a rollout, or lost at once. With Ray's state in Redis.

Simulators answer, so that what is measured is the system and not a model. What each loss cost is written to
build/e2e/losses.json; docs/reliability.md holds figures of one run.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes import client, config

from penstock import __version__
from support.chats import Outcome, chatting
from support.releases import Release, is_ready, penstock, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
SMALL = {"requests": {"cpu": "50m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
VALUES: dict[str, Any] = {
    "models": {"pretend": {"engine": "simulator", "replicas": 2, "options": {"tokens_per_second": 20}}},
    "gateway": {"replicas": 2, "longestRequest": "1m", "hold": {"seconds": "20s"}},
    "accounts": {"anonymous": True},
    # No model here has weights or needs vLLM.
    "image": {"engine": {"repository": "penstock/gateway", "tag": __version__}},
    "service": {"type": "NodePort"},
    "cluster": {
        "head": {"resources": SMALL},
        "gateway": {"resources": SMALL},
        "engine": {"resources": SMALL, "idleTimeout": "10s", "sharedMemory": "512Mi"},
        "autoscaler": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}},
        "redis": {"address": "redis:6379"},
    },
}
GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def redis(core: client.CoreV1Api, space: str) -> None:
    """A Redis in the release's namespace. It outlives the release, which tidies up in it."""
    labels = {"app": "redis"}
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    core.create_namespaced_service(
        space, {"metadata": {"name": "redis"}, "spec": {"selector": labels, "ports": [{"port": 6379}]}}
    )
    core.create_namespaced_pod(
        space,
        {
            "metadata": {"name": "redis", "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "redis",
                        "image": f"docker.io/penstock/test-redis:{__version__}",
                        "securityContext": security,
                        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
    )
    until(lambda: is_ready(core.read_namespaced_pod("redis", space)), limit=180, what="Redis is ready")


@pytest.fixture(scope="module")
def running(redis: None, release: Release) -> Release:
    """Two gateways, two engines, Ray's state in Redis."""
    release.apply(VALUES)
    whole(release)
    return release


def with_models(**models: dict[str, Any]) -> dict[str, Any]:
    """The values with further simulators, and the profiles that they run on."""
    made = copy.deepcopy(VALUES)
    made["hardware"] = {
        "fake-gpu": {"resources": {GPU: 1}},
        "moon": {"resources": {GPU: 1}, "nodeSelector": {"place": "moon"}},
    }
    made["models"].update({name: {"engine": "simulator", **model} for name, model in models.items()})
    return made


def whole(release: Release) -> None:
    """Until everything is there."""
    until(
        lambda: (
            sum(is_ready(pod) for pod in release.pods("gateway")) == 2
            and all(is_ready(pod) for pod in release.pods("head"))
            and release.models().get("pretend", {}).get("replicas_ready") == 2
        ),
        limit=420,
        what="two gateways and two engines ready",
        account=release.account,
    )


@contextmanager
def chats_through(release: Release, what: str) -> Iterator[Outcome]:
    """Chats while something is done to the release, until everything is whole again; what it cost is noted."""
    with chatting(release.url, "pretend", streams=4, tokens=20, pause=0.2) as chats:
        until(lambda: chats.whole > 4, limit=180, what="chats run", account=release.account)
        began = time.time()
        yield chats
        took = time.time() - began
        whole(release)
        served = chats.whole
        until(lambda: chats.whole > served + 4, limit=180, what="chats go on", account=release.account)
    cost = {
        "whole": chats.whole,
        "failed": len(chats.failures),
        "last failure after s": round(max(chats.failed_at, default=began) - began, 1),
        "slowest s": round(chats.slowest, 1),
        "took s": round(took, 1),
        "failures": sorted(set(chats.failures))[:5],
    }
    _write(what, cost)


def lose(release: Release, component: str, *, at_once: bool) -> Outcome:
    """Deletes a pod of a component while chats run, until another has its place and it is gone."""
    with chats_through(release, f"{component} {'lost' if at_once else 'deleted'}") as chats:
        pods = release.pods(component)
        victim = pods[0].metadata.uid
        options = {"grace_period_seconds": 0} if at_once else {}
        release.core.delete_namespaced_pod(pods[0].metadata.name, release.space, **options)
        until(
            lambda: (
                victim not in {pod.metadata.uid for pod in release.pods(component)}
                and sum(is_ready(pod) for pod in release.pods(component)) == len(pods)
            ),
            limit=420,
            what="the pod is replaced",
            account=release.account,
        )
    return chats


def clusters(release: Release) -> set[str]:
    """Names of the release's Ray clusters."""
    found = release.custom.list_namespaced_custom_object("ray.io", "v1", release.space, "rayclusters")
    return {item["metadata"]["name"] for item in found["items"]}


def test_an_engine_pod_that_is_deleted_finishes_its_streams(running: Release) -> None:
    assert lose(running, "engine", at_once=False).failures == []


def test_a_gateway_pod_that_is_deleted_finishes_its_streams(running: Release) -> None:
    assert lose(running, "gateway", at_once=False).failures == []


def test_a_changed_setting_of_the_gateways_costs_no_request(running: Release) -> None:
    before = clusters(running)
    with chats_through(running, "gateway setting changed") as chats:
        running.apply({**VALUES, "gateway": {**VALUES["gateway"], "maxHeaderBytes": "32Ki"}})
        until(lambda: _statuses(running.url, head=40_000) == {431}, limit=360, what="the new limit")
    assert chats.failures == []
    running.apply(VALUES)
    until(lambda: _statuses(running.url, head=40_000) == {200}, limit=360, what="the old limit")
    whole(running)
    assert clusters(running) == before, "new gateways get pods of the same Ray cluster"


def test_a_lost_engine_pod_costs_the_streams_on_it_and_no_more(running: Release) -> None:
    failures = lose(running, "engine", at_once=True).failures
    assert len(failures) <= 4, failures


def test_a_lost_gateway_pod_costs_the_streams_on_it_and_no_more(running: Release) -> None:
    failures = lose(running, "gateway", at_once=True).failures
    # Its streams are cut, and one more try of each client may still go to its address.
    assert len(failures) <= 8, failures


def test_a_lost_head_pod_costs_no_request_with_its_state_in_redis(running: Release) -> None:
    engines = {pod.metadata.name for pod in running.pods("engine")}
    assert lose(running, "head", at_once=True).failures == []
    assert {pod.metadata.name for pod in running.pods("engine")} == engines


@pytest.fixture
def fake_gpus(core: client.CoreV1Api) -> Iterator[None]:
    """A node that says it has GPUs."""
    node = core.list_node().items[0].metadata.name
    path = "/status/capacity/" + GPU.replace("/", "~1")
    core.patch_node_status(node, [{"op": "add", "path": path, "value": "4"}])
    until(lambda: GPU in core.read_node(node).status.allocatable, limit=120, what="the node offers GPUs")
    yield
    core.patch_node_status(node, [{"op": "remove", "path": path}])


def test_pods_of_a_gpu_profile_ask_for_their_gpus_and_land_and_the_others_stay(
    running: Release, fake_gpus: None
) -> None:
    before = {pod.metadata.uid for pod in running.pods()}
    running.apply(with_models(big={"hardware": "fake-gpu", "gpus": 2}))
    # A head that was lost may need a restart before it hears of changes, and KubeRay some minutes after that.
    running.wait_for("big", limit=720)
    pod = next(p for p in running.pods("engine") if p.metadata.labels["penstock.dev/hardware"] == "fake-gpu")
    assert pod.spec.containers[0].resources.limits[GPU] == "2"
    assert running.ask("big").status_code == 200
    running.apply(with_models())
    until(lambda: "big" not in running.models(), limit=180, what="the model is gone", account=running.account)
    assert before <= {pod.metadata.uid for pod in running.pods()}, "neither coming nor going disturbs the others"


def test_a_profile_that_fits_no_node_is_told_by_the_doctor_and_by_the_gateway(running: Release) -> None:
    running.apply(with_models(far={"hardware": "moon"}))
    until(lambda: "far" in running.models(), limit=300, what="the gateway knows it", account=running.account)

    def told() -> httpx.Response | None:
        # Ray's autoscaler and the gateway's look at it take some seconds, which the first hold may not have.
        answer = running.ask("far")
        assert answer.status_code == 503
        return answer if "moon" in answer.json()["error"]["message"] else None

    answer = until(told, limit=240, what="the gateway names the hardware", account=running.account)
    assert int(answer.headers["retry-after"]) > 0
    assert "penstock doctor" in answer.json()["error"]["message"]

    doctor = penstock("doctor", "--context", _context(), "--namespace", running.space, "--release", running.name)
    assert doctor.returncode != 0
    assert "place=moon" in doctor.stdout
    running.apply(with_models())
    until(lambda: "far" not in running.models(), limit=180, what="the model is gone", account=running.account)


def test_a_new_ray_cluster_takes_over_without_losing_a_request(running: Release) -> None:
    before = clusters(running)
    with chats_through(running, "new Ray cluster") as chats:
        values = copy.deepcopy(VALUES)
        values["cluster"]["engine"]["env"] = {"COLOUR": "blue"}
        running.apply(values)
        until(
            lambda: len(clusters(running)) == 1 and not clusters(running) & before,
            limit=600,
            what="the old Ray cluster is gone",
            account=running.account,
        )
    assert chats.failures == []


def test_an_uninstall_with_redis_leaves_nothing_either(running: Release) -> None:
    running.uninstall()
    found = running.custom.list_namespaced_custom_object("ray.io", "v1", running.space, "rayclusters")
    until(
        lambda: not running.custom.list_namespaced_custom_object("ray.io", "v1", running.space, "rayclusters")["items"],
        limit=120,
        what=f"{[item['metadata']['name'] for item in found['items']]} are gone",
        account=running.account,
    )
    with pytest.raises(httpx.HTTPError):
        httpx.get(running.url, timeout=2)


def _statuses(url: str, *, head: int) -> set[int]:
    """What the gateways say to a head of so many bytes. Each new connection reaches one by chance."""
    return {httpx.get(f"{url}/healthz", headers={"x-filling": "x" * head}, timeout=10).status_code for _ in range(12)}


def _context() -> str:
    return str(config.list_kube_config_contexts()[1]["name"])


def _write(what: str, cost: dict[str, Any]) -> None:
    path = ROOT / "build" / "e2e" / "losses.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    losses = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**losses, what: cost}, indent=2), encoding="utf-8")
