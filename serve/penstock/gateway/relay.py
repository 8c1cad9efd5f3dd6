"""One request to an engine; again elsewhere if nothing came. Used by `inference`."""

from __future__ import annotations

import asyncio
import logging

from penstock import config
from penstock.gateway.attempt import Request, attempt
from penstock.gateway.call import Call
from penstock.gateway.engine_client import EngineClient
from penstock.gateway.engine_connection import EngineBrokeError
from penstock.gateway.errors import EngineCrashedError, GatewayError
from penstock.gateway.heartbeat import STREAMED, Heartbeat
from penstock.gateway.metrics import HeldOutcome, Metrics
from penstock.gateway.pool import LeasePool, Lent
from penstock.gateway.tries import Tries
from penstock.gateway.waiting import MOMENT

logger = logging.getLogger(__name__)


class Relay:
    """Sends requests to the replicas that a pool lends.

    Args:
        client: connections to engines.
        settings: limits.
        metrics: where errors and tokens are counted.
    """

    def __init__(self, client: EngineClient, settings: config.Gateway, metrics: Metrics) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics

    async def run(self, call: Call, pool: LeasePool, request: Request) -> None:
        """Answer the call with what an engine says. Leaves the answer incomplete where the engine broke it off.

        Raises:
            GatewayError: no engine answered; nothing of an answer was sent to the client.
        """
        interval = self._settings.hold.heartbeat
        heartbeat = Heartbeat(call, interval) if interval and request.streams and call.endpoint in STREAMED else None
        tries = Tries(call.model, self._settings.attempts)
        try:
            while (refusal := tries.refusal()) is None:
                lent = await self._lend(call, pool, heartbeat)
                call.attempts += 1
                broken = False
                try:
                    await attempt(
                        self._client, self._settings, self._metrics, call, replica=lent.lease.replica, request=request
                    )
                except EngineBrokeError as error:
                    broken = True
                    tries.note(lent.replica_id, error.reason)
                    self._metrics.error("engine", error.reason)
                    self._note(call, lent, error)
                    if call.begun:
                        return
                else:
                    return
                finally:
                    pool.release(lent, broken=broken)
        finally:
            if heartbeat is not None:
                heartbeat.stop()
        if isinstance(refusal, EngineCrashedError):
            self._accuse(call, tries.crashed)
        raise refusal

    async def _lend(self, call: Call, pool: LeasePool, heartbeat: Heartbeat | None) -> Lent:
        if heartbeat is not None:
            heartbeat.wait()
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome: HeldOutcome = "left"
        try:
            lent = await pool.acquire(call.line, again=call.attempts > 0, waited=call.held)
            outcome = "served"
        except GatewayError:
            outcome = "refused"
            raise
        finally:
            waited = loop.time() - began
            call.held += waited
            if waited > MOMENT:
                self._metrics.held(call.model, outcome, waited)
        if heartbeat is not None:
            heartbeat.served()
        return lent

    def _note(self, call: Call, lent: Lent, error: EngineBrokeError) -> None:
        logger.warning(
            "engine broke",
            extra={
                "fields": {
                    "request_id": call.request_id.decode(),
                    "model": call.model,
                    "replica": lent.replica_id,
                    "error": str(error),
                    "attempt": call.attempts,
                    "bytes_sent": call.sent,
                }
            },
        )

    def _accuse(self, call: Call, crashed: list[str]) -> None:
        logger.error(
            "a request may crash engines, and is tried on no other",
            extra={
                "fields": {
                    "request_id": call.request_id.decode(),
                    "model": call.model,
                    "endpoint": call.endpoint,
                    "replicas": crashed,
                }
            },
        )
