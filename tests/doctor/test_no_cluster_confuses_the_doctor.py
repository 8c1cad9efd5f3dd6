"""Whatever a cluster says, the doctor has an answer: it never raises, and every fault has a remedy."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.doctor.cluster import reading_pods, reading_release
from penstock.doctor.cluster.examine import examine
from penstock.doctor.cluster.facts import (
    Application,
    Claim,
    ClusterFacts,
    Condition,
    Container,
    Deployment,
    Ended,
    Event,
    Expression,
    Group,
    Ingress,
    Needs,
    Node,
    Operator,
    Pod,
    RayCluster,
    Reference,
    Release,
    Service,
    StorageClass,
    Taint,
    Toleration,
    Trouble,
)
from penstock.doctor.findings import Finding, Level

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    """
    metadata spec status name labels conditions type reason message containers initContainers resources requests limits
    cpu nvidia.com/gpu taints key value effect allocatable containerStatuses state lastState waiting terminated exitCode
    template headGroupSpec workerGroupSpecs rayClusterConfig serveConfigV2 activeServiceStatus applicationStatuses env
    envFrom volumes affinity nodeAffinity rows cells endpoints ports tolerations
    """.split()  # noqa: SIM905  # a list of fifty lines says no more
)
"""Words that the readers look for, so that what is drawn gets beyond their first look."""
_objects: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["True", "2Gi", "100m", "Never"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)
_amounts = st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), st.floats(0, 2**45), max_size=3)


def _is_sound(findings: list[Finding]) -> bool:
    return (
        bool(findings)
        and all(finding.found for finding in findings)
        and all(finding.remedy for finding in findings if finding.level is Level.PROBLEM)
        and all(finding.remedy is None for finding in findings if finding.level in (Level.OK, Level.SKIPPED))
    )


def _whole(kind: type[Any], **given: Any) -> st.SearchStrategy[Any]:
    """Values of a dataclass with all of its fields drawn, those with a default too."""
    return st.builds(kind, **{found.name: given.get(found.name, ...) for found in fields(kind)})


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=3).map(tuple)


_taints = _some(_whole(Taint))
_needs = _whole(
    Needs, requests=_amounts, tolerations=_some(_whole(Toleration)), affinity=_some(_some(_whole(Expression)))
)
_nodes = _some(_whole(Node, taints=_taints, offered=_amounts, used=st.none() | _amounts))
_conditions = _some(
    _whole(
        Condition,
        type=st.sampled_from(["Ready", "UpgradeInProgress", "ReplicaFailure", "PodScheduled"]),
        status=st.sampled_from(["True", "False"]),
    )
)
_components = st.sampled_from(["head", "gateway", "engine", "weights", ""])
_waiting = st.sampled_from(["", "ErrImagePull", "CreateContainerError", "CrashLoopBackOff", "ContainerCreating"])
_pods = _some(
    _whole(
        Pod,
        component=_components,
        phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
        conditions=_conditions,
        containers=_some(_whole(Container, waiting=_waiting, ended=st.none() | _whole(Ended))),
        needs=_needs,
    )
)
_applications = _some(
    _whole(
        Application,
        status=st.sampled_from(["", "RUNNING", "DEPLOYING", "UNHEALTHY"]),
        deployments=_some(_whole(Deployment)),
    )
)
_events = _some(
    _whole(
        Event,
        reason=st.sampled_from(
            ["FailedCreate", "InvalidRayServiceSpec", "FailedMount", "DeletedWorkerPod", "Unhealthy"]
        ),
        last=st.just(0.0),
    )
)
_releases = _whole(
    Release,
    conditions=_conditions,
    groups=_some(_whole(Group, component=_components, needs=_needs)),
    applications=_applications,
    secrets=_some(_whole(Reference)),
    claims=_some(_whole(Reference)),
)
_facts = _whole(
    ClusterFacts,
    trouble=st.none() | st.sampled_from(Trouble),
    operators=st.none() | _some(_whole(Operator)),
    release=st.none() | _releases,
    clusters=_some(_whole(RayCluster, conditions=_conditions)),
    nodes=st.none() | _nodes,
    pods=st.none() | _pods,
    claims=st.none() | _some(_whole(Claim)),
    storage_classes=st.none() | _some(_whole(StorageClass)),
    events=_events,
    service=st.none() | _whole(Service),
    ingresses=_some(_whole(Ingress)),
    clock=st.just(0.0),
)


@settings(deadline=None, max_examples=200)
@given(_facts)
def test_no_facts_of_a_cluster_make_the_doctor_raise(facts: ClusterFacts) -> None:
    assert _is_sound(examine(facts))


@settings(deadline=None, max_examples=300)
@given(_objects | _json, _objects, _objects)
def test_no_objects_of_a_cluster_make_the_doctor_raise(one: Any, two: Any, three: Any) -> None:
    facts = ClusterFacts(
        "c",
        "n",
        release=reading_release.release(one),
        clusters=(reading_release.ray_cluster(one),),
        operators=(reading_release.operator(two),),
        nodes=reading_pods.nodes([one, two], [two, three]),
        pods=(reading_pods.pod(one), reading_pods.pod(two)),
        claims=(reading_release.claim(one),),
        storage_classes=(reading_release.storage_class(two),),
        secrets=reading_release.secret_names(three),
        events=(reading_release.event(one),),
        service=reading_release.service(one, [two]),
        ingresses=(reading_release.ingress(three),),
    )
    assert reading_release.is_operator(one) in (True, False)
    assert _is_sound(examine(facts))
