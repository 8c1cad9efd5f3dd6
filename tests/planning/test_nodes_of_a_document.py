"""Which nodes a document can need, at least and at most."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Document
from penstock.errors import DocumentError
from penstock.planning.plan import Plan, plan
from penstock.planning.pools import Pool, pools
from penstock.planning.tables import Cloud, load

TABLES = {"aws": load("aws"), "gcp": load("gcp")}


def a_model(hardware: str, *, least: int = 0, most: int = 1, gpus: int | None = None, surge: str = "never") -> Any:
    return {
        "engine": "simulator",
        "hardware": hardware,
        "gpus": gpus,
        "replicas": {"min": least, "max": most},
        "rollout": {"surge": surge},
    }


def pools_of(cloud: Cloud = "aws", hardware: Any = None, **models: Any) -> list[Pool]:
    document = Document.model_validate({"models": models, "hardware": hardware or {}})
    return pools(document, cloud, TABLES[cloud], types={}, spot=[])


def plan_of(cloud: Cloud = "aws", spot: tuple[str, ...] = (), **models: Any) -> Plan:
    document = Document.model_validate({"models": models})
    return plan(document, cloud, TABLES[cloud], types={}, spot=spot, sizes={})


@pytest.mark.parametrize(("cloud", "machine"), [("aws", "g6.xlarge"), ("gcp", "g2-standard-4")])
def test_the_same_document_asks_for_the_same_gpu_on_both_clouds(cloud: Cloud, machine: str) -> None:
    (pool,) = pools_of(cloud, chat=a_model("nvidia-l4", most=3))
    assert (pool.machine.type, pool.least, pool.most) == (machine, 0, 3)


def test_a_replica_of_several_gpus_gets_the_smallest_machine_that_has_them() -> None:
    (pool,) = pools_of("gcp", large=a_model("nvidia-l4", least=1, most=5, gpus=2))
    assert (pool.machine.type, pool.least, pool.most) == ("g2-standard-24", 1, 5)


def test_replicas_share_a_node_that_has_gpus_for_several() -> None:
    (pool,) = pools_of(large=a_model("nvidia-h100", least=3, most=5, gpus=4))
    assert (pool.machine.type, pool.least, pool.most) == ("p5.48xlarge", 2, 3)


def test_small_replicas_move_in_beside_large_ones_at_least_and_may_not_at_most() -> None:
    (pool,) = pools_of(
        large=a_model("nvidia-h100", least=1, most=1, gpus=6), small=a_model("nvidia-h100", least=2, most=2, gpus=1)
    )
    assert (pool.least, pool.most) == (1, 2)


def test_a_rollout_starts_replicas_beside_the_old_ones() -> None:
    (pool,) = pools_of(chat=a_model("nvidia-l4", least=1, most=4, surge="always"))
    assert (pool.least, pool.most, pool.rolling) == (1, 5, 1)


def test_a_profile_of_ones_own_is_known_by_its_label() -> None:
    own = {"fast": {"resources": {"nvidia.com/gpu": 1}, "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L40S"}}}
    (pool,) = pools_of(hardware=own, chat=a_model("fast"))
    assert (pool.gpu, pool.machine.type) == ("nvidia-l40s", "g6e.xlarge")


def test_a_profile_that_asks_for_more_than_the_smallest_machine_has_gets_a_larger_one() -> None:
    own = {"nvidia-l4": {"resources": {"nvidia.com/gpu": 1, "cpu": 7, "memory": "28Gi"}}}
    (pool,) = pools_of(hardware=own, chat=a_model("nvidia-l4", most=5))
    assert (pool.machine.type, pool.most) == ("g6.12xlarge", 2)


def test_processors_and_not_only_gpus_limit_how_many_replicas_share_a_node() -> None:
    own = {"nvidia-l4": {"resources": {"nvidia.com/gpu": 1, "cpu": 20, "memory": "28Gi"}}}
    (pool,) = pools_of(hardware=own, chat=a_model("nvidia-l4", most=5))
    assert (pool.machine.type, pool.most) == ("g6.12xlarge", 3)  # two pods of 20 CPUs in 44


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=6),
    st.sampled_from(["aws", "gcp"]),
)
def test_nodes_hold_all_replicas_and_never_fewer_at_most_than_at_least(
    wanted: list[tuple[int, int, int]], cloud: Cloud
) -> None:
    models = {
        f"m{n}": a_model("nvidia-h100", least=min(least, most), most=most, gpus=gpus, surge="auto")
        for n, (gpus, least, most) in enumerate(wanted)
    }
    (pool,) = pools_of(cloud, **models)
    assert pool.least <= pool.most - pool.rolling <= pool.most
    assert pool.gpus * pool.least >= sum(r.gpus * r.least for r in pool.replicas)
    assert pool.gpus * pool.most >= sum(r.gpus * (r.most + r.surge) for r in pool.replicas)
    assert pool.most <= sum(r.most + r.surge for r in pool.replicas)
    assert pool.gpus >= max(r.gpus for r in pool.replicas)


def test_what_a_replica_cannot_get_is_said_with_the_largest_machine() -> None:
    with pytest.raises(DocumentError, match=r"models\.big: a replica asks for 16 GPUs.*p5\.48xlarge: 8 GPUs"):
        pools_of(big=a_model("nvidia-h100", gpus=16))


def test_a_gpu_that_the_cloud_does_not_have_is_said_with_those_that_it_has() -> None:
    with pytest.raises(DocumentError, match=r"hardware 'nvidia-a10g': gcp has no such type.*nvidia-l4") as raised:
        pools_of("gcp", chat=a_model("nvidia-a10g"))
    assert "--gpu nvidia-a10g=" in (raised.value.remedy or "")


def test_spot_nodes_cost_the_spot_price() -> None:
    chat = a_model("nvidia-l4", least=1)
    gpu = TABLES["aws"].gpus["nvidia-l4"].machines["1"].price
    difference = plan_of(chat=chat).cost.least - plan_of(spot=("nvidia-l4",), chat=chat).cost.least
    assert difference == pytest.approx(gpu.on_demand - gpu.spot)


def test_an_idle_cluster_costs_what_is_always_there_and_no_gpu() -> None:
    table = TABLES["gcp"]
    cost = plan_of("gcp", chat=a_model("nvidia-l4", least=0, most=2)).cost
    always = table.always.control_plane.price + table.always.egress.price
    assert cost.idle == pytest.approx(always + table.system.nodes * table.system.price.on_demand, abs=1e-4)
    assert cost.least == cost.idle
    assert cost.most == pytest.approx(cost.idle + 2 * table.gpus["nvidia-l4"].machines["1"].price.on_demand, abs=1e-4)


def test_models_on_processors_take_more_nodes_without_gpus() -> None:
    def system(most: int) -> int:
        return plan_of("gcp", small=a_model("cpu", least=1, most=most)).nodes[-1].most

    assert system(1) < system(6) <= 1 + math.ceil(6)


def test_a_model_on_processors_that_fits_on_no_node_is_a_problem() -> None:
    document = Document.model_validate(
        {"models": {"small": a_model("huge")}, "hardware": {"huge": {"resources": {"cpu": 64}}}}
    )
    (problem,) = plan(document, "gcp", TABLES["gcp"], types={}, spot=[], sizes={}).problems
    assert problem.startswith("models.small: its pod asks for 64 CPUs")
