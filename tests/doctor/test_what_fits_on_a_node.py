"""The account of a pod that no node takes: exactly what is missing, and on how many nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.doctor.cluster import quantities
from penstock.doctor.cluster.facts import Expression, Needs, Node, Taint, Toleration
from penstock.doctor.cluster.fitting import Lack, fit, is_tolerated
from penstock.doctor.cluster.remedies import remedy
from support.clusters import GPU, GPU_TAINT, PRODUCT, gpu_node, l4_needs, needs, node

CPU = node()


def lacks(wanted: Needs, *nodes: Node) -> list[Lack]:
    return [missing.lack for missing in fit(wanted, nodes).missing]


def test_a_pod_fits_where_all_it_asks_is_there() -> None:
    found = fit(l4_needs(), [CPU, gpu_node()])
    assert (found.ever, found.now, found.account, found.missing) == (("gpu-1",), ("gpu-1",), "", ())


def test_a_cluster_without_nodes_takes_nothing() -> None:
    assert fit(needs(), []).account == "the cluster has no node"


def test_a_device_that_no_node_offers_is_named() -> None:
    assert fit(needs(devices={GPU: 1.0}), [CPU]).account == "no node offers nvidia.com/gpu"


def test_everything_that_is_on_no_node_is_named_at_once() -> None:
    found = fit(l4_needs(), [node(labels={"nvidia.com/gpu.product": "Tesla-T4"})])
    assert found.account == (
        "no node offers nvidia.com/gpu and the label nvidia.com/gpu.product=NVIDIA-L4 is on no node (nodes have"
        " Tesla-T4)"
    )
    assert [missing.lack for missing in found.missing] == [Lack.DEVICE, Lack.LABEL]


def test_more_devices_than_any_node_has_are_told_with_the_most() -> None:
    found = fit(l4_needs(devices={GPU: 4.0}), [gpu_node()])
    assert found.account == "no node offers more than 2 nvidia.com/gpu, and 4 nvidia.com/gpu are asked"


def test_a_taint_that_is_not_tolerated_is_named_with_the_number_of_nodes() -> None:
    found = fit(l4_needs(tolerations=()), [CPU, gpu_node(), gpu_node("gpu-2")])
    assert found.account == (
        "2 nodes have nvidia.com/gpu and the label asked for, but each has the taint nvidia.com/gpu:NoSchedule that is"
        " not tolerated"
    )
    told = remedy(found, "hardware.nvidia-l4", node_autoscaler=False)
    assert told == (
        "Add to hardware.nvidia-l4.tolerations: {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}"
    )


def test_a_full_node_is_told_with_what_is_free() -> None:
    found = fit(needs(8), [node(used=4.8), node("cpu-2", cpu=4)])
    assert found.account == (
        "2 nodes: 1 has 4 CPUs in all where 8 CPUs are asked and 1 has 3.2 CPUs free where 8 CPUs are asked"
    )
    assert found.ever == ("cpu-1",)
    assert found.now == ()


def test_the_only_node_with_the_device_is_full() -> None:
    found = fit(l4_needs(), [CPU, gpu_node(used=7)])
    assert found.account == (
        "1 node has nvidia.com/gpu and the label asked for, but it has 1 CPU free where 3 CPUs are asked"
    )
    assert found.ever == ("gpu-1",)


def test_different_nodes_are_out_for_different_reasons() -> None:
    nodes = [gpu_node("a", taints=(Taint("team", "x"),)), gpu_node("b", used=7), gpu_node("c", used=7)]
    assert fit(l4_needs(), nodes).account == (
        "3 nodes have nvidia.com/gpu and the label asked for, but 1 has the taint team=x:NoSchedule that is not"
        " tolerated and 2 have 1 CPU free where 3 CPUs are asked"
    )


def test_a_device_here_and_a_label_there_are_not_both() -> None:
    nodes = [node(labels=PRODUCT), gpu_node(labels={}), gpu_node("gpu-2", labels={})]
    assert fit(l4_needs(), nodes).account == (
        "there are 2 nodes with 1 nvidia.com/gpu and 1 node with the label nvidia.com/gpu.product=NVIDIA-L4, but none"
        " is all of it"
    )


def test_a_cordoned_node_is_not_to_be_tolerated() -> None:
    cordoned = node(taints=(Taint("node.kubernetes.io/unschedulable"),))
    found = fit(needs(), [cordoned])
    assert found.account == "the only node is cordoned"
    assert "kubectl uncordon cpu-1" in remedy(found, "cluster.head", node_autoscaler=False)


def test_what_is_in_use_is_not_known_without_the_right_to_see_it() -> None:
    assert fit(needs(8), [Node("n", offered={"cpu": 8.0, "memory": 1e12, "pods": 10.0})]).now == ("n",)


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", ("a", "b"), True),
        ("In", ("b",), False),
        ("NotIn", ("b",), True),
        ("Exists", (), True),
        ("DoesNotExist", (), False),
        ("Gt", ("3",), False),
        ("Unheard", (), False),
    ],
)
def test_node_affinity_is_read_as_the_scheduler_does(operator: str, values: tuple[str, ...], fits: bool) -> None:
    wanted = needs(affinity=((Expression("zone", operator, values),),))
    assert bool(fit(wanted, [node(labels={"zone": "a"})]).now) is fits


def test_numbers_of_labels_are_compared() -> None:
    newer = needs(affinity=((Expression("generation", "Gt", ("7",)),),))
    assert fit(newer, [node(labels={"generation": "8"})]).now
    assert lacks(newer, node(labels={"generation": "7"})) == [Lack.AFFINITY]
    older = needs(affinity=((Expression("generation", "Lt", ("7",)), Expression("metadata.name", "In", ("cpu-1",))),))
    assert fit(older, [node(labels={"generation": "6"})]).now


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        (Toleration(GPU, "Exists"), True),
        (Toleration("", "Exists"), True),
        (Toleration(GPU, "Equal", ""), True),
        (Toleration(GPU, "Equal", "yes"), False),
        (Toleration(GPU, "Exists", "", "NoExecute"), False),
        (Toleration("other", "Exists"), False),
        (Toleration("", "Equal"), False),
    ],
)
def test_tolerations_are_read_as_the_scheduler_does(toleration: Toleration, tolerates: bool) -> None:
    assert is_tolerated(GPU_TAINT, [toleration]) is tolerates


def test_a_taint_that_only_prefers_keeps_nobody_away() -> None:
    assert fit(needs(), [node(taints=(Taint("a", "b", "PreferNoSchedule"),))]).now


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("500m", 0.5),
        ("24Gi", 24 * 2**30),
        ("1e3", 1000),
        ("2", 2),
        (3, 3),
        (1.5, 1.5),
        ("0.1", 0.1),
        ("x", 0),
        (None, 0),
    ],
)
def test_quantities_are_numbers(written: object, number: float) -> None:
    assert quantities.parse(written) == pytest.approx(number)


def test_what_is_free_is_rounded_down() -> None:
    assert quantities.amount("cpu", 3.999) == "3.99 CPUs"
    assert quantities.amount("memory", 2.0**31) == "2.0 GiB of memory"


_resources = st.dictionaries(st.sampled_from(["cpu", "memory", "pods", GPU]), st.floats(0, 64))
_labels = st.dictionaries(st.sampled_from(["zone", "gpu"]), st.sampled_from(["a", "b"]))
_taints = st.lists(st.builds(Taint, st.sampled_from(["x", "y"]), effect=st.just("NoSchedule")), max_size=1).map(tuple)
_tolerations = st.lists(st.builds(Toleration, st.sampled_from(["x", "y"]), st.just("Exists")), max_size=2).map(tuple)
_nodes = st.lists(st.builds(Node, st.sampled_from(["n1", "n2"]), _labels, _taints, _resources, _resources), max_size=4)
_wishes = st.builds(Needs, _resources, _labels, _tolerations)


@given(_wishes, _nodes)
def test_either_a_node_has_room_or_there_is_an_account_with_a_remedy(wanted: Needs, nodes: list[Node]) -> None:
    found = fit(wanted, nodes)
    assert bool(found.now) is not bool(found.account)
    assert set(found.now) <= set(found.ever)
    if not found.now:
        assert found.missing
        assert remedy(found, "hardware.x", node_autoscaler=False)


@given(_wishes, _nodes)
def test_an_empty_node_with_everything_takes_every_pod(wanted: Needs, nodes: list[Node]) -> None:
    large = Node("large", wanted.node_selector, (), dict.fromkeys(wanted.requests, 64.0), {})
    assert "large" in fit(wanted, [*nodes, large]).now
