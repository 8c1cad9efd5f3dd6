"""The engine replica as Ray Serve runs it. Thin: all work is done by `replica`.

Serve imports this by path from the rendered configuration; the gateway never calls it, it asks for the replica's
metadata (`choose_replica`) and talks to the engine itself.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import serve
from ray._private import worker

from penstock import logs
from penstock.board import Failure, ReplicaReport
from penstock.board.gauges import Gauge
from penstock.board.kv import KvBoard
from penstock.engine.log import EngineLog
from penstock.engine.probe import EngineProbe
from penstock.engine.replica import EngineReplica, Identity
from penstock.engine.spec import DEPLOYMENT, EngineSpec
from penstock.errors import EngineError

ROUTER = {"request_router_class": "penstock.gateway.ray_choice.EvenRouter"}
"""How gateways choose a replica. Ray sends it to them; here it is a name alone."""

_EX_SOFTWARE = 70


class EngineDeployment:
    """One replica, one engine."""

    async def __init__(self, args: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        spec = EngineSpec.model_validate(args)
        logs.set_up(level=spec.logging.level, style=spec.logging.format)
        context = serve.get_replica_context()
        replica = context.replica_id.unique_id
        identity = Identity(
            replica=replica,
            node=ray.get_runtime_context().get_node_id(),
            pid=os.getpid(),
            host=spec.host or ray.util.get_node_ip_address(),
        )
        self._replica = EngineReplica(
            spec,
            identity,
            KvBoard(),
            log=EngineLog(_log_directory() / f"engine-{context.app_name}-{replica}.log"),
            on_death=_leave,
            is_lost=_is_lost,
        )
        await self._replica.start()

    def record_replica_metadata(self) -> dict[str, Any]:
        """What a lease on this replica gives to the gateway."""
        place = self._replica.place
        return {"base_url": place.base_url, "token": place.token}

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        self._replica.longest_request = float(user_config["longest_request"])

    def check_health(self) -> None:
        if (failure := self._replica.failure) is not None:
            raise EngineError(failure.cause, remedy=failure.remedy)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What scaling goes by (`Gauge`). Nothing where the engine does not answer: that is not the same as no load."""
        if self._replica.failure is not None:
            return {}
        async with EngineProbe(self._replica.place) as probe:
            gauges = await probe.gauges()
        if gauges is None:
            return {}
        seconds = self._replica.report.start_seconds
        took = {} if seconds is None else {Gauge.START_SECONDS: seconds}
        return {name.value: value for name, value in {**gauges, **took}.items()}

    async def __del__(self) -> None:
        # Serve awaits this once no lease is left; the interpreter's own call of it comes too late to do anything.
        if (replica := self.__dict__.get("_replica")) is not None:
            await replica.stop(replica.longest_request)


def application(args: dict[str, Any]) -> Any:
    """Built by Serve from the `args` of a model's application, which are an `EngineSpec`."""
    EngineSpec.model_validate(args)
    return serve.deployment(name=DEPLOYMENT, request_router_config=ROUTER)(EngineDeployment).bind(args)


def _leave(_: Failure) -> None:
    """End the replica's process. Serve sees a lost actor at its next look, which is sooner than three failed checks,
    and routers at once. The reason is on the board already."""
    os._exit(_EX_SOFTWARE)


def _is_lost(report: ReplicaReport) -> bool:
    """Whether its process is gone. One of another node that lives cannot be asked, and counts as there."""
    if report.node == ray.get_runtime_context().get_node_id():
        return not psutil.pid_exists(report.pid)
    # Where Ray's control store is away, nothing is known to be gone.
    with contextlib.suppress(Exception):
        return report.node not in {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    return False


def _log_directory() -> Path:
    """Where Ray keeps the logs of this node. Ray has no public way to ask."""
    node = worker._global_node  # noqa: SLF001
    return Path(node.get_logs_dir_path()) if node is not None else Path("/tmp/penstock")  # noqa: S108
