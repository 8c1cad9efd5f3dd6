"""The gateway replica as Ray Serve runs it: it listens itself, Serve only places, counts, heals and rolls it. Thin.

Serve imports this by path from the rendered configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from ray import serve

from penstock import environment, logs
from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.opening import OpenAccounts
from penstock.board import Phase, ReplicaReport
from penstock.board.kv import KvBoard, KvDecisions, KvWishes
from penstock.config.addresses import is_loopback
from penstock.gateway import ray_logs, ray_shortages, ray_succession
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, derive_catalog
from penstock.gateway.freshness import Freshness
from penstock.gateway.listener import Listener
from penstock.gateway.ray_leases import RayLeaseSource
from penstock.gateway.scaling_metrics import ScalingMetrics
from penstock.gateway.shortage import Shortages
from penstock.gateway.spec import DEPLOYMENT, GatewayRoutes, GatewaySpec
from penstock.gateway.start_metrics import StartMetrics

ENGINE_DEPLOYMENT = "engine"
"""Name of the deployment within each model's application."""
LOOK = 1.0
"""Seconds between two looks at the board."""
LOOK_AT_SHORTAGES = 3.0
"""Seconds between two looks at what models lack. Only while requests wait for them."""
STALE = 20.0
"""A replica that has not renewed its report for so long is gone: four heartbeats."""
LONGEST_GAP = 3 * LOOK
"""More time than this between two looks says nothing of the replicas."""

logger = logging.getLogger(__name__)


class GatewayDeployment:
    """One listener."""

    async def __init__(self, args: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        spec = GatewaySpec.model_validate(args)
        logs.set_up(level=spec.logging.level, style=spec.logging.format)
        self._settings = spec.gateway
        self._routes = GatewayRoutes()
        self._began = time.time()
        self._board = KvBoard()
        self._freshness = Freshness(STALE, longest_gap=LONGEST_GAP)
        self._start_metrics = StartMetrics(lambda: self._routes.models)
        self._shortages = Shortages()
        wanted = spec.accounts
        self._accounts = OpenAccounts(wanted) if wanted.anonymous is not None else None
        limited = self._accounts is not None or not wanted.limits.is_empty
        self._limits = OpenLimits(wanted.limits) if limited else None
        if self._accounts is None and not is_loopback(spec.gateway.host):
            logger.warning("no keys are asked for: everybody who reaches this address may use every model")
        self._app = GatewayApp(
            spec.gateway,
            Catalog(),
            self._source_of,
            accounts=self._accounts,
            limits=self._limits,
            connections=lambda: self._listener.connections,
            account_of=lambda model: self._shortages.account(model, time.time()),
        )
        self._app.desk.read_log = ray_logs.last_lines
        self._app.desk.ask_for_rest = KvWishes().ask_for_rest
        self._start_metrics.register(self._app.metrics.registry)
        self._scaling_metrics = ScalingMetrics(lambda: self._routes.models)
        self._scaling_metrics.register(self._app.metrics.registry)
        # Until it is known that there is nobody to wait for.
        self._app.standby = True
        self._listener = Listener(self._app, spec.gateway, shared=True)
        self._watches: list[asyncio.Task[None]] = []
        if self._accounts is not None:
            await self._accounts.start()
        if self._limits is not None:
            usage = self._accounts.usage if self._accounts is not None else None
            await self._limits.start(usage.report if usage is not None else None)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Serve calls this once before the replica is ready, and whenever the models change."""
        self._routes = GatewayRoutes.model_validate(user_config)
        if self._accounts is not None:
            self._accounts.replace_keys(self._routes.keys)
        self._app.replace_providers(self._routes.providers)
        self._publish(await asyncio.to_thread(self._board.reports))
        if not self._watches:
            # Not before it knows its models: others may listen on the port already, and who comes is given to any.
            await self._listener.start()
            loop = asyncio.get_running_loop()
            self._watches = [
                loop.create_task(self._watch_board(), name="board-watch"),
                loop.create_task(self._watch_shortages(), name="shortages-watch"),
                loop.create_task(self._stand_by(), name="stand-by"),
                loop.create_task(self._watch_leaving(), name="leaving-watch"),
            ]

    def check_health(self) -> None:
        if not self._listener.serving:
            raise RuntimeError("the gateway's listener has stopped")

    async def __del__(self) -> None:
        # Serve awaits this; the interpreter's own call of it comes too late to do anything.
        if (listener := self.__dict__.get("_listener")) is None:
            return
        self._app.drain()
        await listener.stop(self._settings.longest_request, pause=self._settings.drain_delay)
        for watch in self._watches:
            watch.cancel()
        await self._app.close()
        if self._limits is not None:
            await self._limits.close()
        if self._accounts is not None:
            await self._accounts.close()

    def _source_of(self, model: str) -> RayLeaseSource:
        return RayLeaseSource(self._routes.models[model].application, ENGINE_DEPLOYMENT)

    async def _watch_board(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            # What is known stays when Ray's control store is away for a while.
            with contextlib.suppress(Exception):
                self._publish(await asyncio.to_thread(self._board.reports))
                self._app.desk.decisions = await asyncio.to_thread(KvDecisions().decisions)
                self._scaling_metrics.note(self._app.desk.decisions, time.monotonic())

    async def _watch_shortages(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AT_SHORTAGES)
            routes, pools = self._routes.models, self._app.pools
            waiting = {name: routes[name].application for name, pool in pools.items() if pool.held and name in routes}
            # As above: what is known stays.
            with contextlib.suppress(Exception):
                now = time.time()
                self._shortages.note(await ray_shortages.look(waiting, now) if waiting else {}, now)

    async def _stand_by(self) -> None:
        if (service := self._routes.service) is not None:
            await ray_succession.until_it_takes_over(
                lambda: {model.application for model in self._routes.models.values()}, service
            )
        self._app.standby = False

    async def _watch_leaving(self) -> None:
        """Drain as soon as the pod is told to stop: Ray's word comes later, and not at all where its head is gone."""
        if (sign := environment.leaving_file()) is None:
            return
        while not await asyncio.to_thread(sign.exists):  # noqa: ASYNC110  # nothing tells of a file
            await asyncio.sleep(LOOK)
        self._app.drain()
        self._listener.drain()

    def _publish(self, reports: list[ReplicaReport]) -> None:
        self._start_metrics.note(reports)
        fresh = self._freshness.look({r.replica: r.updated for r in reports}, time.monotonic())
        current = [r for r in reports if r.phase is Phase.FAILED or r.replica in fresh]
        self._app.desk.reports = current
        forgiving = self._settings.model_names == "forgiving"
        self._app.reconfigure(derive_catalog(self._routes.models, current, created=self._began, forgiving=forgiving))


def application(args: dict[str, Any]) -> Any:
    """Built by Serve from the `args` of the gateway's application, which are a `GatewaySpec`."""
    GatewaySpec.model_validate(args)
    return serve.deployment(name=DEPLOYMENT)(GatewayDeployment).bind(args)
