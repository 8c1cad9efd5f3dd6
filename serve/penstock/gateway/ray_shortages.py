"""Reads from Ray's control store what models lack that have no replica. Thin; used by `deployment` while requests wait.

Two calls: which replicas wait for a place, and what the autoscaler does about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ray.core.generated.autoscaler_pb2 import NodeStatus
from ray.experimental.internal_kv import internal_kv_get_gcs_client

from penstock.gateway.ray_names import HARDWARE, worker_group
from penstock.gateway.shortage import Shortage

_LIMIT = 5
"""Seconds for each call."""
_NEWS = 600.0
"""Seconds for which a failure of the autoscaler's says something of the present."""
_ALIVE = (NodeStatus.RUNNING, NodeStatus.IDLE, NodeStatus.DRAINING)


async def look(applications: Mapping[str, str], now: float) -> dict[str, Shortage]:
    """Shortages by model, of those whose replicas wait for a place. Raises what Ray raises.

    Args:
        applications: the Serve application of each model that is asked about.
        now: seconds since the epoch.
    """
    client = internal_kv_get_gcs_client()
    actors = await client.async_get_all_actor_info(actor_state_name="PENDING_CREATION", timeout=_LIMIT)
    wanted = wanted_resources(actors.values(), applications)
    if not wanted:
        return {}
    status = await client.async_get_cluster_status(timeout_s=_LIMIT)
    return {model: shortage(resource, status, now) for model, resource in wanted.items()}


def wanted_resources(actors: Iterable[Any], applications: Mapping[str, str]) -> dict[str, str]:
    """The hardware's resource by model.

    Args:
        actors: Ray's `ActorTableData` of actors that wait for a place.
    """
    classes = {f"ServeReplica:{application}:": model for model, application in applications.items()}
    wanted = {}
    for actor in actors:
        model = next((model for start, model in classes.items() if actor.class_name.startswith(start)), None)
        resource = next((name for name in actor.required_resources if name.startswith(HARDWARE)), None)
        if model is not None and resource is not None:
            wanted[model] = resource
    return wanted


def shortage(resource: str, status: Any, now: float) -> Shortage:
    """What a `GetClusterStatusReply` of Ray's says of a resource."""
    scaling, cluster = status.autoscaling_state, status.cluster_resource_state
    group = worker_group(resource)
    requests = [found for found in scaling.pending_instance_requests if found.ray_node_type_name == group]
    made = [found for found in scaling.pending_instances if found.ray_node_type_name == group]
    failed = [
        found
        for found in scaling.failed_instance_requests
        if found.ray_node_type_name == group and now - found.failed_ts < _NEWS
    ]
    return Shortage(
        resource,
        autoscaled=scaling.autoscaler_state_version > 0,
        nodes=sum(node.status in _ALIVE and resource in node.total_resources for node in cluster.node_states),
        awaited=sum(found.count for found in requests) + len(made),
        infeasible=any(resource in asked.resources_bundle for asked in scaling.infeasible_resource_requests),
        failure=max(failed, key=lambda found: found.failed_ts).reason if failed else "",
        asked_at=min((float(found.request_ts) for found in requests if found.request_ts), default=None),
    )
