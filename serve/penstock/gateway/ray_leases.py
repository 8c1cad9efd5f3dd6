"""Leases by Ray Serve: `choose_replica` reserves a slot on a replica, which protects it from being stopped.

The only file of the gateway, beside `deployment`, that knows Ray.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from penstock.gateway.leases import Lease, Replica


@dataclass(slots=True, eq=False)
class RayLease:
    """A reserved slot. Leaving `slot` frees it."""

    replica: Replica
    slot: AbstractAsyncContextManager[Any]


class RayLeaseSource:
    """Implements `LeaseSource` for one deployment of an application that may not be there yet."""

    def __init__(self, application: str, deployment: str) -> None:
        self._application = application
        self._deployment = deployment
        self._handle: DeploymentHandle | None = None

    async def take(self) -> RayLease:
        if self._handle is None:
            # Not checked: the gateway may be up before the model is, and its requests are held.
            self._handle = serve.get_deployment_handle(
                self._deployment, app_name=self._application, _check_exists=False, _record_telemetry=False
            )
            if not self._handle.is_initialized:  # Ray gives the same one again to a model that comes back
                # On a loop of its own, Ray's router would not hear of a `take` that is cancelled: it goes on asking for
                # a replica, counts as a request that waits, and starts a model for a client that has long left.
                self._handle._init(_run_router_in_separate_loop=False)  # noqa: SLF001
        slot = self._handle.choose_replica()
        selection = await slot.__aenter__()
        try:
            place = selection.replica_metadata
            replica = Replica(selection.replica_id, place["base_url"], place["token"])
        except BaseException:
            await slot.__aexit__(None, None, None)
            raise
        return RayLease(replica, slot)

    async def give_back(self, lease: Lease) -> None:
        if isinstance(lease, RayLease):
            await lease.slot.__aexit__(None, None, None)
