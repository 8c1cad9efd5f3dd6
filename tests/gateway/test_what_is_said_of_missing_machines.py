"""A model whose hardware has no machine: what Ray knows of it, and what a client is told when the hold ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ray.core.generated import autoscaler_pb2
from ray.core.generated.gcs_pb2 import ActorTableData

from penstock import config
from penstock.assembly.serve_config import hardware_resource
from penstock.gateway import ray_shortages
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.errors import BusyError, GatewayError, UnavailableError
from penstock.gateway.leases import StaticSource
from penstock.gateway.pool import LeasePool, PoolSettings
from penstock.gateway.ray_names import hardware_of, worker_group
from penstock.gateway.shortage import Shortage, Shortages, account
from support.charts import render

L4 = "penstock-hardware-nvidia-l4"
NOW = 1_000_000.0
AWAITED = "Ray has waited for a pod from Kubernetes for at least 95 s."
LIMITED = "and Ray asks Kubernetes for no other: cluster.engine.maxPods may be reached."
DOCTOR = "On the cluster, `penstock doctor --context` says what keeps it from a node."


@pytest.mark.parametrize(
    ("shortage", "said"),
    [
        (
            Shortage(L4, awaited=1),
            f"Its hardware nvidia-l4 has no node yet; {AWAITED} {DOCTOR}",
        ),
        (
            Shortage(L4, awaited=2, nodes=3),
            f"All 3 nodes of its hardware nvidia-l4 are taken; {AWAITED} {DOCTOR}",
        ),
        (Shortage(L4), f"Its hardware nvidia-l4 has no node yet, and Ray has not asked Kubernetes for a pod. {DOCTOR}"),
        (
            Shortage(L4, nodes=1),
            f"The only node of its hardware nvidia-l4 is taken, {LIMITED}",
        ),
        (
            Shortage(L4, failure="timed out."),
            f"Its hardware nvidia-l4 has no node yet; Ray asked Kubernetes for a pod and got none: timed out. {DOCTOR}",
        ),
    ],
)
def test_the_account_names_the_layer_and_what_is_missing(shortage: Shortage, said: str) -> None:
    assert account(shortage, 95.2) == said


def test_hardware_that_no_worker_group_offers_is_told_with_its_resource() -> None:
    assert f"No worker group of the Ray cluster offers its hardware ({L4})" in account(Shortage(L4, infeasible=True), 0)


def test_an_autoscaler_that_does_not_report_is_the_layer() -> None:
    assert "Ray's autoscaler, which asks Kubernetes for pods, does not report" in account(
        Shortage(L4, autoscaled=False), 0
    )


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert Shortages().account("demo", NOW) == ""


def test_time_counts_from_when_ray_asked_also_after_ray_has_forgotten_it() -> None:
    known = Shortages()
    known.note({"demo": Shortage(L4, awaited=1, asked_at=NOW - 30)}, NOW)
    assert "at least 30 s" in known.account("demo", NOW)
    known.note({"demo": Shortage(L4, awaited=1)}, NOW + 60)
    assert "at least 95 s" in known.account("demo", NOW + 65)
    known.note({}, NOW + 70)
    assert known.account("demo", NOW + 70) == ""
    known.note({"demo": Shortage(L4, awaited=1)}, NOW + 80)
    assert "at least 0 s" in known.account("demo", NOW + 80)


@pytest.mark.parametrize(("profile", "gpus"), [("cpu", 0), ("nvidia-l4", 1), ("nvidia-l4", 2)])
def test_hardware_is_read_out_of_the_resource_that_the_document_asks_for(profile: str, gpus: int) -> None:
    assert hardware_of(hardware_resource(profile, gpus)) == profile + ("-x2" if gpus == 2 else "")


def test_worker_groups_have_the_names_that_the_chart_gives_them() -> None:
    own = {"Big_One.v2": {"resources": {"nvidia.com/gpu": 1}}, "a" * 49 + "-b": {}}
    models = {
        "one": {"source": "hf://a/b", "hardware": "Big_One.v2"},
        "two": {"source": "hf://a/b", "hardware": "Big_One.v2", "gpus": 2},
        "three": {"source": "hf://a/b", "hardware": "a" * 49 + "-b"},
        "four": {"source": "hf://a/b"},
    }
    groups = render({"models": models, "hardware": own}).cluster["workerGroupSpecs"]
    named = {
        resource: group["groupName"]
        for group in groups
        for resource in group["resources"]
        if resource.startswith("penstock-hardware-")
    }
    assert len(named) == 4
    assert {resource: worker_group(resource) for resource in named} == named


# What Ray says


def actor(application: str, **resources: float) -> ActorTableData:
    return ActorTableData(class_name=f"ServeReplica:{application}:engine", required_resources=resources)


def status(*, version: int = 7, **scaling: Any) -> autoscaler_pb2.GetClusterStatusReply:
    """What the control store answers; a dead node of the hardware among the others."""
    nodes = [
        autoscaler_pb2.NodeState(status=autoscaler_pb2.NodeStatus.RUNNING, total_resources={"CPU": 2.0}),
        autoscaler_pb2.NodeState(status=autoscaler_pb2.NodeStatus.DEAD, total_resources={L4: 1.0}),
        autoscaler_pb2.NodeState(status=autoscaler_pb2.NodeStatus.IDLE, total_resources={L4: 1.0}),
    ]
    return autoscaler_pb2.GetClusterStatusReply(
        autoscaling_state=autoscaler_pb2.AutoscalingState(autoscaler_state_version=version, **scaling),
        cluster_resource_state=autoscaler_pb2.ClusterResourceState(node_states=nodes),
    )


def test_the_hardware_of_a_model_is_what_its_waiting_replicas_ask_for() -> None:
    waiting = [
        actor("model-demo", GPU=1.0, **{L4: 1.0}),
        actor("model-demo-2", **{"penstock-hardware-cpu": 1.0}),
        actor("model-other", **{L4: 1.0}),
        ActorTableData(class_name="ServeController"),
    ]
    wanted = ray_shortages.wanted_resources(waiting, {"demo": "model-demo", "demo/2": "model-demo-2", "x": "model-x"})
    assert wanted == {"demo": L4, "demo/2": "penstock-hardware-cpu"}


def test_on_one_machine_replicas_ask_for_no_hardware_and_nothing_is_missing() -> None:
    assert ray_shortages.wanted_resources([actor("model-demo", GPU=1.0)], {"demo": "model-demo"}) == {}


def test_pods_that_ray_awaits_are_counted_for_their_own_worker_group() -> None:
    asked = [
        autoscaler_pb2.PendingInstanceRequest(ray_node_type_name="hw-nvidia-l4", count=2, request_ts=999_900),
        autoscaler_pb2.PendingInstanceRequest(ray_node_type_name="gateway", count=5, request_ts=1),
    ]
    made = [autoscaler_pb2.PendingInstance(ray_node_type_name="hw-nvidia-l4")]
    seen = ray_shortages.shortage(L4, status(pending_instance_requests=asked, pending_instances=made), NOW)
    assert seen == Shortage(L4, nodes=1, awaited=3, asked_at=999_900.0)


def test_a_failure_counts_while_it_is_news() -> None:
    failed = [
        autoscaler_pb2.FailedInstanceRequest(ray_node_type_name="hw-nvidia-l4", reason=reason, failed_ts=int(NOW - ago))
        for reason, ago in (("older", 500), ("newer", 100), ("forgotten", 900))
    ]
    assert ray_shortages.shortage(L4, status(failed_instance_requests=failed), NOW).failure == "newer"
    assert ray_shortages.shortage(L4, status(failed_instance_requests=failed[2:]), NOW).failure == ""


def test_what_no_worker_group_offers_and_an_absent_autoscaler_are_seen() -> None:
    request = autoscaler_pb2.ResourceRequest(resources_bundle={L4: 1.0})
    assert ray_shortages.shortage(L4, status(infeasible_resource_requests=[request]), NOW).infeasible
    assert not ray_shortages.shortage(L4, status(version=0), NOW).autoscaled


# What a client is told


async def refusal(pool: LeasePool) -> GatewayError:
    try:
        await pool.acquire()
    except GatewayError as error:
        return error
    finally:
        await pool.close()
    raise AssertionError("a lease out of nowhere")


async def test_when_the_hold_ends_the_error_says_what_is_missing() -> None:
    settings = PoolSettings(hold_seconds=0.05, moment=0.01)
    error = await refusal(LeasePool("big", StaticSource([]), settings, account=lambda: "No node has it."))
    assert isinstance(error, UnavailableError)
    assert error.message == (
        "No replica of 'big' became free within 0.05 s (gateway.hold.seconds). No node has it. Try again later."
    )
    assert (error.layer, error.code, error.retry_after) == ("pool", "no_replica", 10.0)


async def test_where_nothing_is_known_to_be_missing_the_error_is_as_ever() -> None:
    error = await refusal(LeasePool("big", StaticSource([]), PoolSettings(hold_seconds=0.05, moment=0.01)))
    assert error.message == (
        "No replica of 'big' became free within 0.05 s (gateway.hold.seconds). Try again later; `penstock status` says"
        " what its replicas are doing."
    )


async def test_a_request_over_the_bound_is_told_too() -> None:
    settings = PoolSettings(hold_requests=0, moment=0.01)
    error = await refusal(LeasePool("big", StaticSource([]), settings, account=lambda: "No node has it."))
    assert isinstance(error, BusyError)
    assert "gateway.hold.requests allows. No node has it. Try again later." in error.message


async def test_every_model_gets_its_own_account() -> None:
    parsed = config.Gateway.model_validate({"hold": {"seconds": 0.6}})
    models = [ModelEntry("a"), ModelEntry("b")]
    app = GatewayApp(parsed, Catalog(models), lambda _: StaticSource([]), account_of=lambda model: f"Of {model}.")
    tasks = [asyncio.ensure_future(app.pools[name].acquire()) for name in ("a", "b")]
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    await app.close()
    assert ["Of a." in str(errors[0]), "Of b." in str(errors[1])] == [True, True]
