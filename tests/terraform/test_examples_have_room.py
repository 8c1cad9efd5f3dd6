"""The examples fit together: the document of each, its node pools, and what `penstock plan` says of them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from penstock.config.loading import load
from penstock.planning.plan import plan
from penstock.planning.pools import pools
from penstock.planning.tables import Cloud
from penstock.planning.tables import load as table_of
from support.terraform_check import Module
from support.terraform_docs import MODULES

EXAMPLES = [
    (cloud, path.parent)
    for cloud in get_args(Cloud)
    for path in sorted((MODULES / cloud / "examples").glob("*/penstock.yaml"))
]


@pytest.mark.parametrize(("cloud", "folder"), EXAMPLES, ids=lambda value: getattr(value, "name", value))
def test_node_pools_hold_every_replica_and_those_of_a_rollout(cloud: Cloud, folder: Path) -> None:
    document, table = load([folder / "penstock.yaml"]), table_of(cloud)
    asked = Module(folder).named("module")["penstock"]["gpu_nodes"]
    made = pools(document, cloud, table, types={}, spot=[])
    assert {pool.profile for pool in made} == set(asked)
    for pool in made:
        nodes = asked[pool.profile]
        assert nodes.get("gpu", pool.profile) == pool.gpu
        each = nodes.get("gpus", min(int(number) for number in table.gpus[pool.gpu].machines))
        assert str(each) in table.gpus[pool.gpu].machines
        # A rollout starts replicas beside the old ones, and waits for their nodes.
        needed = sum(-(-(r.most + r.surge) // (each // r.gpus)) for r in pool.replicas)
        assert nodes.get("max", 1) >= needed, pool.profile
        assert nodes.get("min", 0) <= pool.least


@pytest.mark.parametrize(("cloud", "folder"), EXAMPLES, ids=lambda value: getattr(value, "name", value))
def test_the_plan_of_an_example_has_no_problem(cloud: Cloud, folder: Path) -> None:
    made = plan(load([folder / "penstock.yaml"]), cloud, table_of(cloud), types={}, spot=[], sizes={})
    assert made.problems == ()
    assert {said.verdict for said in made.weights} == {"fits"}


@pytest.mark.parametrize("cloud", get_args(Cloud))
def test_the_least_costs_under_half_a_dollar_an_hour_while_nobody_asks(cloud: Cloud) -> None:
    document = load([MODULES / cloud / "examples" / "minimal" / "penstock.yaml"])
    cost = plan(document, cloud, table_of(cloud), types={}, spot=[], sizes={}).cost
    assert cost.least == cost.idle < 0.5
