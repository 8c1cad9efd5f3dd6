"""The way from a cluster's API to findings: a release as the chart renders it, in a small cluster that speaks HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client import ApiClient

from penstock.doctor.cluster.examine import examine
from penstock.doctor.cluster.facts import ClusterFacts, Reference, Toleration, Trouble
from penstock.doctor.cluster.gather import gather
from penstock.doctor.findings import Level
from support.charts import Rendered, render
from support.engines import free_port
from support.http_server import serving
from support.kubernetes_api import RAY, SPACE, Api, kubeconfig

pytestmark = pytest.mark.integration

VALUES: dict[str, Any] = {
    "models": {
        "chat": {"source": "hf://acme/chat", "hardware": "nvidia-l4", "gpus": 2, "replicas": {"min": 0, "max": 2}},
        "small": {"source": "pvc://models/small"},
    },
    "secrets": {"hub": {"name": "hub-token"}},
    "imagePullSecrets": ["registry"],
    "ingress": {"enabled": True, "className": "nginx", "hosts": ["api.example"]},
}
LABELS = {"app.kubernetes.io/instance": "test", "app.kubernetes.io/part-of": "penstock"}


def plain(made: Any) -> dict[str, Any]:
    """An object of Kubernetes as a server sends it. The client's own models refuse what no cluster would send."""
    sent: dict[str, Any] = ApiClient().sanitize_for_serialization(made)
    return sent


def node(name: str, offered: dict[str, str], **more: Any) -> dict[str, Any]:
    return plain(
        client.V1Node(
            metadata=client.V1ObjectMeta(name=name, labels=more.pop("labels", {})),
            spec=client.V1NodeSpec(**more),
            status=client.V1NodeStatus(allocatable={"pods": "110", **offered}),
        )
    )


def pod(name: str, component: str, *, cpu: str = "1", **status: Any) -> dict[str, Any]:
    ready = client.V1PodCondition(type="Ready", status="True")
    return plain(
        client.V1Pod(
            metadata=client.V1ObjectMeta(name=name, labels={**LABELS, "app.kubernetes.io/component": component}),
            spec=client.V1PodSpec(
                node_name="cpu-1",
                containers=[
                    client.V1Container(
                        name="ray", image="i:1", resources=client.V1ResourceRequirements(requests={"cpu": cpu})
                    )
                ],
            ),
            status=client.V1PodStatus(**{"phase": "Running", "conditions": [ready], **status}),
        )
    )


@cache
def chart() -> Rendered:
    return render(VALUES)


def rayservice() -> dict[str, Any]:
    """The chart's, with the status that KubeRay gives it."""
    made = deepcopy(chart().of("RayService"))
    statuses = {"model-chat": "RUNNING", "model-small": "RUNNING", "gateway": "RUNNING"}
    made["metadata"]["generation"] = 3
    made["status"] = {
        "observedGeneration": 3,
        "conditions": [{"type": "Ready", "status": "True", "reason": "NonZeroServeEndpoints"}],
        "activeServiceStatus": {
            "rayClusterName": "test-penstock-abcde",
            "applicationStatuses": {
                name: {"status": status, "serveDeploymentStatuses": {"engine": {"status": "HEALTHY"}}}
                for name, status in statuses.items()
            },
        },
    }
    return made


@pytest.fixture
def api() -> Iterator[Api]:
    """A cluster with the release in it, of which nothing is wrong."""
    gpu = {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "4"}
    labels = {"nvidia.com/gpu.product": "NVIDIA-L4"}
    taint = client.V1Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule")
    heads = [pod("h", "head"), pod("g", "gateway"), pod("e", "engine")]
    served = Api(
        lists={
            "/api/v1/nodes": [
                node("cpu-1", {"cpu": "8", "memory": "32Gi"}),
                node("cpu-2", {"cpu": "8", "memory": "32Gi"}),
                node("gpu-1", gpu, labels=labels, taints=[taint]),
            ],
            "/api/v1/pods": heads,
            "/apis/apps/v1/deployments": [
                {
                    "metadata": {
                        "name": "kuberay-operator",
                        "namespace": "kuberay",
                        "labels": {"app.kubernetes.io/name": "kuberay-operator"},
                    },
                    "spec": {"template": {"spec": {"containers": [{"image": "kuberay/operator:v1.6.2"}]}}},
                    "status": {"availableReplicas": 1},
                }
            ],
            "/apis/storage.k8s.io/v1/storageclasses": [],
            "/apis/networking.k8s.io/v1/ingressclasses": [{"metadata": {"name": "nginx"}}],
            f"{RAY}/rayservices": [rayservice()],
            f"{RAY}/rayclusters": [{"metadata": {"name": "test-penstock-abcde"}, "status": {"state": "ready"}}],
            f"{SPACE}/pods": heads,
            f"{SPACE}/persistentvolumeclaims": [{"metadata": {"name": "models"}, "status": {"phase": "Bound"}}],
            f"{SPACE}/events": [],
            f"{SPACE}/services": [chart().of("Service", "test-penstock")],
            "/apis/discovery.k8s.io/v1/namespaces/penstock/endpointslices": [
                {
                    "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "test-penstock"}},
                    "endpoints": [{"conditions": {"ready": True}}, {"conditions": {"ready": False}}],
                }
            ],
            "/apis/networking.k8s.io/v1/namespaces/penstock/ingresses": [
                {**chart().of("Ingress"), "status": {"loadBalancer": {"ingress": [{"ip": "10.1.1.1"}]}}}
            ],
        },
        objects={
            "/version": {"gitVersion": "v1.33.1"},
            "/apis": {"groups": [{"name": "ray.io"}, {"name": "apps"}]},
            "/apis/ray.io/v1": {"resources": [{"name": "rayservices"}]},
            SPACE: {"metadata": {"name": "penstock"}},
        },
        secrets=["hub-token", "registry", "test-penstock-keys"],
    )
    with serving(served):
        yield served


@pytest.fixture
def look(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Look at it. kubectl's own variable leads there."""
    path = kubeconfig(tmp_path / "config", api.address)
    monkeypatch.setitem(os.environ, "KUBECONFIG", str(path))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))

    def now(context: str = "here", namespace: str = "", release: str = "") -> ClusterFacts:
        return gather(context, namespace, release)

    return now


def test_a_release_as_the_chart_makes_it_is_read_whole(api: Api, look: Any) -> None:
    facts = look()
    assert (facts.trouble, facts.unread, facts.version, facts.namespace) == (None, (), "v1.33.1", "penstock")
    release = facts.release
    groups = {group.name: group for group in release.groups}
    assert set(groups) == {"head", "gateway", "hw-cpu", "hw-nvidia-l4-x2"}
    pair = groups["hw-nvidia-l4-x2"]
    assert (pair.component, pair.hardware) == ("engine", "nvidia-l4")
    assert (pair.needs.requests["nvidia.com/gpu"], pair.needs.requests["cpu"]) == (2, 6)
    assert pair.needs.node_selector == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert pair.needs.tolerations == (Toleration("nvidia.com/gpu", "Exists", "", "NoSchedule"),)
    assert {named.name for named in release.secrets} == {"hub-token", "registry", "test-penstock-keys"}
    assert release.claims == (Reference("models", "engine pods"),)
    assert {application.model for application in release.applications} == {"chat", "small", ""}
    assert {seen.name: seen.used.get("cpu") for seen in facts.nodes} == {"cpu-1": 3, "cpu-2": None, "gpu-1": None}
    assert (facts.service.name, facts.service.ready, facts.service.not_ready) == ("test-penstock", 1, 1)
    assert facts.ingresses[0].addresses == ("10.1.1.1",)
    bad = [found for found in examine(facts) if found.level in (Level.PROBLEM, Level.WARNING)]
    assert bad == []
    assert api.methods == {"GET"}


def test_lists_in_several_parts_are_read_to_their_end(api: Api, look: Any) -> None:
    api.page = 1
    assert len(look().nodes) == 3


def test_what_may_not_be_read_is_a_finding_and_the_rest_is_read(api: Api, look: Any) -> None:
    api.refused = {"/api/v1/nodes", "/api/v1/pods", "/apis/apps/v1/deployments", f"{SPACE}/secrets"}
    facts = look()
    assert {unread.what for unread in facts.unread} == {
        "nodes",
        "pods of all namespaces",
        "deployments of all namespaces",
        "names of Secrets",
    }
    assert (facts.nodes, facts.operators, facts.secrets) == (None, None, None)
    assert facts.release is not None
    assert all(found.level is not Level.PROBLEM for found in examine(facts))


def test_a_cluster_without_kuberay_says_so(api: Api, look: Any) -> None:
    api.objects["/apis"] = {"groups": [{"name": "apps"}]}
    del api.lists[f"{RAY}/rayservices"]
    facts = look()
    assert (facts.knows_rayservice, facts.releases, facts.unread) == (False, (), ())
    api.objects["/apis"] = {"groups": [{"name": "ray.io"}]}
    api.objects["/apis/ray.io/v1"] = {"resources": [{"name": "rayclusters"}]}
    assert look().knows_rayservice is False
    del api.objects["/apis/ray.io/v1"]
    assert look().knows_rayservice is False


def test_a_node_autoscaler_is_seen(api: Api, look: Any) -> None:
    assert look().node_autoscaler is False
    api.objects["/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status"] = {"data": {}}
    assert look().node_autoscaler is True


def test_a_namespace_or_release_that_is_not_there_is_no_error(look: Any) -> None:
    assert look(release="other").release is None
    facts = look(namespace="elsewhere")
    assert (facts.namespace_exists, facts.release, facts.trouble) == (False, None, None)


def test_a_service_that_was_deleted_is_absent(api: Api, look: Any) -> None:
    api.lists[f"{SPACE}/services"] = []
    assert look().service is None


def test_a_context_that_is_not_there_is_told_with_those_that_are(look: Any) -> None:
    facts = look("elsewhere")
    assert (facts.trouble, facts.error) == (Trouble.KUBECONFIG, "It has no context 'elsewhere'.")
    assert facts.contexts == ("here",)


def test_a_kubeconfig_that_is_none_is_a_finding(tmp_path: Path, look: Any) -> None:
    (tmp_path / "config").write_text("contexts: [", encoding="utf-8")
    assert look().trouble is Trouble.KUBECONFIG
    (tmp_path / "config").unlink()
    assert look().trouble is Trouble.KUBECONFIG


def test_a_wrong_token_is_not_let_in(tmp_path: Path, api: Api, look: Any) -> None:
    kubeconfig(tmp_path / "config", api.address, token="wrong")
    facts = look()
    assert (facts.trouble, facts.error) == (Trouble.UNAUTHORIZED, "Unauthorized")


def test_a_server_that_does_not_listen_is_unreachable(tmp_path: Path, look: Any) -> None:
    kubeconfig(tmp_path / "config", f"http://127.0.0.1:{free_port()}")
    facts = look()
    assert facts.trouble is Trouble.UNREACHABLE
    assert "refused" in facts.error
