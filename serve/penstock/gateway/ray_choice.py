"""How Ray Serve's router, in each gateway, chooses a replica for a lease. `engine.deployment` names it.

Ray pickles the class by value and sends it with a model's configuration, so it refers to nothing but Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter


class EvenRouter(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray has no types here
    """The emptier of two replicas, as Ray does it, with two differences.

    Ray learns how full a replica is from its answer to a reservation, and chooses for a whole burst before the first
    answer: all of it goes to one replica. Here each choice counts at once, until the answer tells the true number.

    Ray keeps a request that left before it had a replica until the next replica comes. Here it is forgotten.
    """

    def _fulfill_next_pending_request(self, replica: Any, request_metadata: Any = None) -> None:
        first = next((pending for pending in self._pending_requests_to_fulfill if not pending.future.done()), None)
        super()._fulfill_next_pending_request(replica, request_metadata)
        if first is not None and first.future.done():
            self.on_send_request(replica.replica_id)

    async def _choose_replica_for_request(self, pending_request: Any, *, is_retry: bool = False) -> Any:
        try:
            return await super()._choose_replica_for_request(pending_request, is_retry=is_retry)
        except asyncio.CancelledError:
            for queue in (self._pending_requests_to_fulfill, self._pending_requests_to_route):
                with contextlib.suppress(ValueError):
                    queue.remove(pending_request)
            raise
