"""Ray Serve's side of the scaling decision: named by path in the rendered configuration, called by its controller."""

from __future__ import annotations

from typing import Any

from ray.serve.config import AutoscalingContext

from penstock.scaling.policy import Load, desired_replicas

REQUESTS = "requests"
"""Key under which an engine replica reports its load."""


def decide(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Replicas wanted, and the policy's state, which is none.

    The leases that gateways hold are no load to Serve, so the engines' own numbers are used.
    """
    reported = (context.aggregated_metrics or {}).get(REQUESTS, {})
    running = set(context.running_replicas)
    load = Load(
        # A dead replica's last report must not count.
        in_engines=sum(value for replica, value in reported.items() if replica in running),
        waiting=context.total_queued_requests or 0.0,
    )
    return desired_replicas(
        load,
        target=context.config.target_ongoing_requests,
        least=context.capacity_adjusted_min_replicas,
        most=context.capacity_adjusted_max_replicas,
    ), {}
