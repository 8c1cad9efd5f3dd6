"""What the doctor says of a cluster: each layer that can refuse, with what is missing and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.doctor.cluster.examine import examine
from penstock.doctor.cluster.facts import (
    Application,
    Claim,
    ClusterFacts,
    Condition,
    Container,
    Deployment,
    Ended,
    Ingress,
    Operator,
    RayCluster,
    Service,
    StorageClass,
    Trouble,
    Unread,
)
from penstock.doctor.findings import Finding, Level
from support.clusters import (
    L4,
    bad,
    cluster,
    event,
    gpu_node,
    l4_needs,
    needs,
    node,
    one,
    pod,
    release,
    waiting,
    with_claim,
    with_pods,
)

WARNING = Level.WARNING
CRASHED = Ended("Error", 1, "no such file: /models")


def about(facts: ClusterFacts, subject: str) -> Finding:
    """What is said of a subject, once."""
    (found,) = [finding for finding in examine(facts) if finding.subject == subject]
    return found


def broken(**changes: object) -> ClusterFacts:
    """The good cluster with an engine pod whose container is not well."""
    container = replace(Container("ray", "penstock/engine:1"), **changes)  # type: ignore[arg-type]
    return with_pods(pod("engine", "e-1", hardware=L4, phase="Running", containers=(container,), conditions=()))


# The way there


def test_a_release_that_is_well_is_told_with_its_models_and_address() -> None:
    assert bad(cluster()) == []
    assert about(cluster(), "ready").found == "chat and small can be asked at http://penstock.models:8000/v1."


def test_where_something_is_wrong_nothing_is_said_to_be_ready() -> None:
    assert all(finding.subject != "ready" for finding in examine(cluster(secrets=frozenset())))


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble.KUBECONFIG, "The kubeconfig gives no way to the context 'prod': why. Contexts: a and b."),
        (Trouble.UNREACHABLE, "The cluster of the context prod does not answer at https://10.0.0.1:6443: why."),
        (Trouble.UNAUTHORIZED, "The cluster at https://10.0.0.1:6443 does not let you in: why."),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_all_that_is_said(trouble: Trouble, said: str) -> None:
    (found,) = examine(cluster(trouble=trouble, error="why.", contexts=("a", "b")))
    assert (found.subject, found.found) == ("cluster", said)
    assert found.remedy


def test_a_namespace_that_is_not_there_is_named() -> None:
    found = one(cluster(namespace_exists=False, release=None, releases=()))
    assert found.found == "The cluster has no namespace 'models'."


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [
        ("", (), "There is no release of Penstock in the namespace models."),
        ("", ("a", "b"), "The namespace models has several releases: a and b."),
        ("c", ("a",), "There is no release 'c' of Penstock in the namespace models; there is a."),
        ("c", (), "There is no release 'c' of Penstock in the namespace models."),
    ],
)
def test_a_release_that_is_not_there_is_told_with_those_that_are(
    wanted: str, there: tuple[str, ...], said: str
) -> None:
    assert one(cluster(release=None, wanted=wanted, releases=there)).found == said


def test_what_may_not_be_read_is_told_and_not_taken_for_health() -> None:
    facts = cluster(nodes=None, unread=(Unread("nodes", "nodes is forbidden"),))
    assert one(facts, WARNING).found.startswith("You may not read nodes")


# KubeRay


def test_a_cluster_that_does_not_know_rayservice_gets_the_commands_that_install_kuberay() -> None:
    found = one(cluster(knows_rayservice=False, operators=()))
    assert "CRDs are not installed" in found.found
    assert "helm install kuberay-operator" in str(found.remedy)


@pytest.mark.parametrize(
    ("operators", "said"),
    [((), "is not installed"), ((Operator("kuberay-operator", "kuberay-system"),), "no pod that is available")],
)
def test_an_operator_that_does_not_run_is_a_problem(operators: tuple[Operator, ...], said: str) -> None:
    assert said in one(cluster(operators=operators)).found


def test_a_rayservice_that_is_not_ready_says_its_condition() -> None:
    condition = Condition("Ready", "False", "InitializingTimeout", "It took too long.")
    found = one(cluster(release=release(conditions=(condition,))))
    assert found.found == "penstock is not Ready: InitializingTimeout: It took too long."


def test_a_rayservice_that_is_starting_is_a_warning() -> None:
    starting = Condition("Ready", "False", "Initializing", "")
    assert "Initializing" in one(cluster(release=release(conditions=(starting,))), WARNING).found


def test_a_rayservice_of_which_kuberay_says_nothing_is_a_problem() -> None:
    assert "has said nothing" in one(cluster(release=release(conditions=()))).found
    other = Condition("RollbackInProgress", "False")
    assert "it has no condition Ready" in one(cluster(release=release(conditions=(other,)))).found


def test_a_revision_that_kuberay_has_not_acted_on_is_a_warning() -> None:
    assert "revision 1 of penstock, and there is 2" in one(cluster(release=release(generation=2)), WARNING).found


def test_a_switch_to_another_ray_cluster_is_told() -> None:
    conditions = (Condition("Ready", "True"), Condition("UpgradeInProgress", "True"))
    found = one(cluster(release=release(conditions=conditions, pending="penstock-new")), WARNING)
    assert "A new Ray cluster (penstock-new) is to take over" in found.found


def test_a_spec_that_kuberay_refuses_is_a_problem_while_it_is_news() -> None:
    refused = event("penstock", "InvalidRayServiceSpec", "The name is too long.", kind="RayService")
    assert "The name is too long." in one(cluster(events=(refused, refused))).found
    assert bad(cluster(events=(replace(refused, last=0.0),))) == []


# Admission


@pytest.mark.parametrize(
    ("message", "layer"),
    [
        ('pods "x" is forbidden: exceeded quota: compute, requested: cpu=8, used: cpu=4', "A ResourceQuota (compute)"),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes',
            "Pod Security (restricted",
        ),
        (
            'admission webhook "check.example.com" denied the request: no owner',
            "The admission webhook check.example.com",
        ),
        ("maximum memory usage per Container is 2Gi, but limit is 8Gi", "A LimitRange (maximum memory usage)"),
        ('error looking up service account models/runner: serviceaccount "runner" not found', "The service account"),
        ("the server is on fire", "Kubernetes refuses"),
    ],
)
def test_pods_that_the_cluster_does_not_take_name_the_layer(message: str, layer: str) -> None:
    refused = event("penstock-abcde", "FailedToCreateWorkerPod", message, kind="RayCluster")
    found = one(cluster(events=(refused,)))
    assert found.subject == "admission"
    assert found.found.startswith(layer)
    assert message in found.found


def test_a_refusal_counts_while_it_is_news_and_ours() -> None:
    late = event("penstock-abcde", "FailedToCreateWorkerPod", "exceeded quota: q", ago=700)
    other = event("somebody-else", "FailedCreate", "exceeded quota: q")
    assert bad(cluster(events=(late, other))) == []


def test_a_condition_of_the_ray_cluster_says_it_without_an_event_and_once() -> None:
    failure = Condition("ReplicaFailure", "True", "FailedCreateWorkerPod", "exceeded quota: compute, used: 4")
    facts = cluster(clusters=(RayCluster("penstock-abcde", "ready", "", (failure,)),))
    again = event("penstock-abcde", "FailedToCreateWorkerPod", "exceeded quota: compute, used: 5")
    assert one(replace(facts, events=(again,))).found.endswith("used: 4.")


# The scheduler


def test_a_pending_pod_is_compared_with_every_node() -> None:
    found = one(with_pods(waiting("engine", l4_needs(), name="e-1", hardware=L4), nodes=(node(),)))
    assert found.subject == "scheduler: engine nvidia-l4"
    assert found.found == (
        "1 pod (e-1) waits for a node: no node offers nvidia.com/gpu and the label nvidia.com/gpu.product=NVIDIA-L4 is"
        " on no node."
    )
    assert "hardware.nvidia-l4.nodeSelector" in str(found.remedy)


def test_pods_with_the_same_wishes_are_one_finding() -> None:
    pods = (waiting("engine", l4_needs(), name=f"e-{number}", hardware=L4) for number in range(3))
    assert one(with_pods(*pods, nodes=(node(),))).found.startswith("3 pods (e-0, …) wait for a node")


def test_a_head_that_fits_nowhere_names_its_own_values() -> None:
    found = [
        finding
        for finding in bad(cluster(pods=(waiting("head", needs(64)),), nodes=(node(), gpu_node())))
        if finding.subject == "scheduler: head"
    ]
    assert len(found) == 1
    assert "no node offers more than 8 CPUs, and 64 CPUs are asked" in found[0].found
    assert "cluster.head.resources" in str(found[0].remedy)


def test_where_the_numbers_fit_the_scheduler_has_the_word() -> None:
    found = one(with_pods(waiting("engine", needs(), hardware="cpu")), WARNING)
    assert "cpu-1 has room by numbers. The scheduler says: 0/2 nodes are available" in found.found


def test_without_the_right_to_see_nodes_the_scheduler_has_the_word() -> None:
    found = one(with_pods(waiting("engine", l4_needs(), hardware=L4), nodes=None))
    assert "0/2 nodes are available" in found.found


def test_what_a_node_autoscaler_says_of_the_pod_is_repeated() -> None:
    facts = with_pods(waiting("engine", l4_needs(), name="e-1", hardware=L4), nodes=(node(),), node_autoscaler=True)
    found = one(replace(facts, events=(event("e-1", "NotTriggerScaleUp", "max node group size reached."),)))
    assert "The node autoscaler says: NotTriggerScaleUp: max node group size reached." in found.found
    assert "one of its node groups" in str(found.remedy)


def test_a_profile_that_fits_no_node_is_a_problem_though_no_pod_waits() -> None:
    found = one(cluster(nodes=(node(),)))
    assert found.subject == "scheduler: engine nvidia-l4"
    assert found.found.startswith("No pod of it waits, but one would find no node: no node offers nvidia.com/gpu")


def test_where_nodes_are_made_on_demand_a_profile_without_one_is_a_warning() -> None:
    assert "would find no node" in one(cluster(nodes=(node(),), node_autoscaler=True), WARNING).found


def test_a_profile_whose_nodes_are_full_is_a_warning_unless_its_own_pods_fill_them() -> None:
    full = (node(), gpu_node(taken={"nvidia.com/gpu": 2.0}))
    assert "0 nvidia.com/gpu free" in one(cluster(nodes=full), WARNING).found
    ours = with_pods(pod("engine", hardware=L4, node="gpu-1"), nodes=full)
    assert bad(ours) == []
    assert "none with room for another" in about(ours, "scheduler: engine nvidia-l4").found


# Pods


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_had_is_named(reason: str) -> None:
    found = one(broken(waiting=reason, message="manifest unknown"))
    assert found.subject == "image: engine nvidia-l4"
    assert f"penstock/engine:1 ({reason}): manifest unknown." in found.found


def test_a_container_that_cannot_be_made_says_why() -> None:
    found = one(broken(waiting="CreateContainerConfigError", message="couldn't find key token in Secret models/hub"))
    assert "couldn't find key token" in found.found


def test_a_crash_loop_is_told_with_its_last_end() -> None:
    found = one(broken(waiting="CrashLoopBackOff", restarts=4, ended=CRASHED))
    assert "is in a crash loop (Error, exit code 1, restarted 4 times): no such file: /models." in found.found
    assert "logs e-1 --container ray --previous" in str(found.remedy)


def test_memory_that_ran_out_says_where_to_give_more() -> None:
    found = one(broken(restarts=1, ended=Ended("OOMKilled", 137)))
    assert "OOMKilled, exit code 137" in found.found
    assert "Raise the memory in hardware.nvidia-l4.resources" in str(found.remedy)


def test_a_container_that_came_back_is_a_warning() -> None:
    assert "ended (Error, exit code 1" in one(broken(ready=True, restarts=1, ended=CRASHED), WARNING).found


def test_a_container_that_ended_well_before_is_nothing() -> None:
    done = Container("wait-gcs-ready", ready=True, ended=Ended("Completed", 0))
    assert bad(with_pods(pod("engine", hardware=L4, containers=(done,)))) == []


@pytest.mark.parametrize(
    ("reason", "said"), [("Evicted", "was evicted from gpu-1: low on disk"), ("", "has failed: low on disk")]
)
def test_a_pod_that_has_failed_says_why(reason: str, said: str) -> None:
    gone = pod("engine", hardware=L4, phase="Failed", node="gpu-1", reason=reason, message="low on disk", containers=())
    assert said in one(with_pods(gone)).found


def test_a_volume_that_cannot_be_mounted_is_told_from_the_events() -> None:
    starting = pod("engine", "e-1", hardware=L4, phase="Pending", conditions=(), containers=())
    assert bad(with_pods(starting)) == []
    mount = event("e-1", "FailedMount", "volume is in use elsewhere")
    assert "(FailedMount): volume is in use elsewhere." in one(with_pods(starting, events=(mount,))).found


def test_a_pod_that_is_not_ready_says_what_its_probe_said() -> None:
    probe = event("e-1", "Unhealthy", "Readiness probe failed: 503")
    found = one(replace(broken(), events=(probe,)), WARNING)
    assert "is not ready: Readiness probe failed: 503." in found.found


def test_a_pod_that_is_going_is_nobodys_business() -> None:
    assert bad(with_pods(pod("engine", hardware=L4, deleting=True, conditions=()))) == []


def test_pods_that_kuberay_put_away_are_counted_from_the_events() -> None:
    text = "Deleted worker Pod; Ray container terminated status: &ContainerStateTerminated{{ExitCode:{},Reason:{},}}"
    ends = tuple(
        event("penstock-abcde", "DeletedWorkerPod", text.format(137, "OOMKilled"), ago=ago) for ago in (9, 7, 5)
    )
    found = one(cluster(events=ends))
    assert "put away 3 pods" in found.found
    assert "OOMKilled, exit code 137" in found.found
    assert one(cluster(events=ends[:1]), WARNING)
    assert bad(cluster(events=(event("penstock-abcde", "DeletedWorkerPod", text.format(0, "Completed")),))) == []


@pytest.mark.parametrize("state", ["Failed", "gone"])
def test_a_head_that_does_not_run_is_ray_s_control_store_gone(state: str) -> None:
    others = tuple(seen for seen in cluster().pods or () if seen.component != "head")
    dead = pod("head", phase="Failed", containers=(), conditions=())
    facts = cluster(pods=(*others, dead) if state == "Failed" else others)
    found = about(facts, "ray head")
    assert found.level is Level.PROBLEM
    assert "Ray's control store is gone" in found.found


def test_a_head_that_starts_is_a_warning_and_one_before_any_cluster_is_kuberays() -> None:
    starting = pod("head", conditions=())
    assert "does not answer yet" in about(cluster(pods=(starting,)), "ray head").found
    none = about(cluster(pods=(), release=release(cluster="")), "ray head")
    assert none.found == "There is no Ray cluster yet."


# Claims and Secrets


def test_a_claim_that_is_not_there_says_who_mounts_it() -> None:
    assert "engine pods mount it" in one(with_claim(None)).found


def test_a_bound_claim_is_well() -> None:
    assert bad(with_claim(Claim("weights", "Bound"))) == []


def test_a_claim_that_waits_for_its_first_pod_is_no_fault() -> None:
    waits = event("weights", "WaitForFirstConsumer", kind="PersistentVolumeClaim")
    assert bad(with_claim(Claim("weights"), events=(waits,))) == []


@pytest.mark.parametrize(
    ("claim", "classes", "said"),
    [
        (Claim("weights", size="100Gi"), (StorageClass("slow"),), "no default storage class (there is slow)"),
        (Claim("weights", storage_class="fast"), (), "no storage class fast (there is none)"),
        (Claim("weights"), (StorageClass("s", default=True),), "failed to provision volume"),
        (Claim("weights", "Lost"), None, "It is Lost"),
    ],
)
def test_an_unbound_claim_says_why(claim: Claim, classes: tuple[StorageClass, ...] | None, said: str) -> None:
    failed = event("weights", "ProvisioningFailed", "failed to provision volume", kind="PersistentVolumeClaim")
    assert said in one(with_claim(claim, storage_classes=classes, events=(failed,))).found


def test_a_secret_that_is_not_there_is_named_with_what_it_is_for() -> None:
    found = one(cluster(secrets=frozenset({"other"})))
    assert found.found == "There is no Secret penstock-ray-token in models, which is for the token."


# What is served


def test_a_model_that_serve_cannot_deploy_says_its_message() -> None:
    failed = Application(
        "model-chat", "chat", "DEPLOY_FAILED", "", (Deployment("engine", "DEPLOY_FAILED", "The GPU is too small."),)
    )
    found = one(cluster(release=release(applications=(failed,))))
    assert found.subject == "serve: chat"
    assert found.found == "Serve says DEPLOY_FAILED: engine is DEPLOY_FAILED, The GPU is too small."


@pytest.mark.parametrize(
    "application",
    [
        Application("model-chat", "chat", "DEPLOYING", "Waiting for 1 replica."),
        Application("model-chat", "chat", ""),
        Application("gateway", "", "RUNNING", "", (Deployment("gateway", "UNHEALTHY", "gone"),)),
    ],
)
def test_what_serve_is_still_at_is_a_warning(application: Application) -> None:
    assert one(cluster(release=release(applications=(application,))), WARNING).subject.startswith("serve: ")


def test_a_service_without_a_gateway_behind_it_is_a_problem() -> None:
    found = one(cluster(service=Service("penstock", port=8000, not_ready=1)))
    assert "no gateway pod is ready; 1 pod is not ready" in found.found
    assert "no Service" in one(cluster(service=None)).found


def test_a_service_that_could_not_be_read_is_not_called_missing() -> None:
    assert one(cluster(service=None, unread=(Unread("services", "forbidden"),)), WARNING).subject == "rights"


def test_a_load_balancer_without_an_address_is_a_warning() -> None:
    service = Service("penstock", "LoadBalancer", 8000, 1)
    assert one(cluster(service=service), WARNING).subject == "service"
    assert "http://1.2.3.4:8000/v1" in about(cluster(service=replace(service, external=("1.2.3.4",))), "ready").found


def test_an_ingress_says_its_address_or_what_it_lacks() -> None:
    ingress = Ingress("penstock", "nginx", ("api.example",), ("10.1.1.1",))
    assert about(cluster(ingresses=(ingress,)), "ingress").found == "api.example at 10.1.1.1."
    assert "class traefik" in one(cluster(ingresses=(replace(ingress, class_name="traefik"),))).found
    assert "an address yet" in one(cluster(ingresses=(replace(ingress, addresses=()),)), WARNING).found
