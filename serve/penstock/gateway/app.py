"""The gateway as an ASGI application: who asks, what for, and what is noted of it. Used by `listener`.

No framework: the road from the request to the engine is a table look-up and one JSON document.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import orjson

import penstock
from penstock import config
from penstock.accounts.account import ANONYMOUS
from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.opening import OpenAccounts
from penstock.config.providers import Provider
from penstock.gateway import admin, cors
from penstock.gateway.accounting import Accounting
from penstock.gateway.authentication import Gate
from penstock.gateway.cache.caching import Cache
from penstock.gateway.call import CLIENT_GONE, Call, ClientGoneError, Receive, Scope, Send
from penstock.gateway.catalog import Catalog
from penstock.gateway.dialects.edge import Edge
from penstock.gateway.dialects.paths import foreign
from penstock.gateway.dialects.table import DIALECTS
from penstock.gateway.engine_client import EngineClient, HttpEngineClient
from penstock.gateway.errors import (
    EngineFailedError,
    GatewayError,
    MethodNotAllowedError,
    UnavailableError,
)
from penstock.gateway.fleet import Fleet
from penstock.gateway.headers import Header
from penstock.gateway.inference import Inference
from penstock.gateway.leases import LeaseSource
from penstock.gateway.metrics import CONTENT_TYPE, NO_MODEL, Metrics
from penstock.gateway.models_desk import ModelsDesk
from penstock.gateway.page import files as page
from penstock.gateway.pool import LeasePool
from penstock.gateway.providers.upstreams import Upstreams
from penstock.gateway.relay import Relay
from penstock.gateway.routes import (
    OPEN_TO_ALL,
    Action,
    Route,
    check_method,
    find_route,
    model_id,
    unknown_path,
)

logger = logging.getLogger(__name__)
access = logging.getLogger("penstock.gateway.access")

_JSON: list[Header] = [(b"content-type", b"application/json")]


class GatewayApp:
    """ASGI 3. Belongs to one event loop, and is made in it.

    Args:
        settings: the document's `gateway`.
        catalog: the models.
        source_of: makes the source of a model's leases; called once for each model that comes.
        client: connections to engines.
        connections: how many clients are connected, for metrics.
        accounts: who may use what; None where everybody may use everything. Started and closed by whoever made them.
        limits: how much everybody may take; None where there are no limits. Started and closed as accounts are.
        account_of: what is known of why a model has no replica, in whole sentences; empty where nothing is.
    """

    def __init__(
        self,
        settings: config.Gateway,
        catalog: Catalog,
        source_of: Callable[[str], LeaseSource],
        *,
        accounts: OpenAccounts | None = None,
        limits: OpenLimits | None = None,
        client: EngineClient | None = None,
        connections: Callable[[], int] = lambda: 0,
        account_of: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.metrics = Metrics()
        self.draining = False
        self.standby = False
        """Whether other gateways take requests until this one's models are there."""
        self._settings = settings
        self._fleet = Fleet(settings, source_of, account_of)
        self._accounts = accounts
        self._gate = Gate(accounts) if accounts is not None else None
        usage = accounts.usage if accounts is not None else None
        prices = limits.limiter.settings.prices if limits is not None else None
        self._accounting = Accounting(usage, self.metrics.registry, prices) if usage is not None else None
        self._limits = limits
        if limits is not None:
            limiter = limits.limiter
            self.metrics.watch_counters(lambda: limiter.gone)
        self._client = client or HttpEngineClient(settings.connect_timeout)
        self._upstreams = Upstreams(settings, self.metrics)
        self._cache = Cache(settings, self._fleet.identity, self.metrics.registry)
        self._inference = Inference(
            settings,
            self._fleet,
            relay=Relay(self._client, settings, self.metrics),
            upstreams=self._upstreams,
            cache=self._cache,
            metrics=self.metrics,
            accounting=self._accounting,
            limiter=limits.limiter if limits is not None else None,
            counts=accounts is not None or limits is not None,
        )
        self.desk = ModelsDesk(lambda: self.pools, lambda: self.catalog, self._fleet.outlook)
        """What administrators ask of models."""
        self._actions: Mapping[Action, Callable[[Call, Route], Awaitable[None]]] = {
            Action.RELAY: self._inference.answer,
            Action.MODELS: self._models,
            Action.MODEL: self._model,
            Action.HEALTH: self._health,
            Action.READY: self._ready,
            Action.METRICS: self._show_metrics,
            Action.VERSION: self._version,
        }
        self.metrics.watch(lambda: self.pools, connections)
        self.reconfigure(catalog)

    @property
    def pools(self) -> Mapping[str, LeasePool]:
        """The pool of each model, by name."""
        return self._fleet.pools

    @property
    def catalog(self) -> Catalog:
        return self._fleet.catalog

    def reconfigure(self, catalog: Catalog) -> None:
        """Serve other models, or know other states of the same. Requests in progress are not disturbed."""
        self._fleet.replace(catalog, self._upstreams.entries())

    def replace_providers(self, providers: Mapping[str, Provider]) -> None:
        """Know other providers; their models are served from the next `reconfigure` on."""
        self._upstreams.replace(providers)

    def drain(self) -> None:
        """Say not ready, and `connection: close` on every answer from now on."""
        self.draining = True

    async def close(self) -> None:
        """Give all leases back and close connections to engines. Call it when no request is in progress."""
        self.drain()
        await self.desk.close()
        await self._fleet.close()
        await self._cache.close()
        await self._upstreams.close()
        await self._client.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            if (dialect := foreign(scope["path"])) is None:
                await self.answer(scope, receive, send)
            else:
                await DIALECTS[dialect](Edge(self, dialect, scope, receive, send))
        else:
            await send({"type": "websocket.close", "code": 1000})

    # For dialects

    @property
    def limits_of_bodies(self) -> tuple[int, int]:
        """Bytes of a body at most, and how deep its JSON may nest."""
        return self._settings.max_body_bytes, self._settings.max_json_depth

    async def admit(self, call: Call) -> None:
        """Raises GatewayError where the request's key would be refused."""
        if self._gate is not None:
            await self._gate.admit(call.headers, call.query, "user")

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for one of the gateway's own paths."""
        await self._serve(Call(scope, receive, send))

    async def _serve(self, call: Call) -> None:
        if self.draining:
            call.common.append((b"connection", b"close"))
        call.common += cors.response_headers(self._settings.cors, call.headers)
        try:
            await self._dispatch(call)
        except GatewayError as error:
            self._count_error(error)
            await call.fail(error)
        except ClientGoneError:
            call.client_gone = True
        except asyncio.CancelledError:
            if not call.client_gone:
                await self._stopped(call)
                raise
            # It was our own watcher that cancelled, because the client left.
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        except Exception:
            logger.exception("defect", extra={"fields": {"request_id": call.request_id.decode()}})
            await call.fail(GatewayError("The gateway has a defect; its log says which.", code="internal_error"))
        finally:
            self._note(call)

    async def _dispatch(self, call: Call) -> None:
        route = find_route(call.path)
        if cors.is_preflight(call.method, call.headers) and self._settings.cors.allow_origins:
            allow = route.allow if route else "GET, POST, OPTIONS"
            lines = cors.preflight_headers(self._settings.cors, call.headers, allow)
            await call.respond(204, lines)
            return
        if call.path.startswith(admin.PREFIX):
            await self._administer(call)
            return
        if route is None:
            await self._show_page(call)
            return
        call.endpoint = route.endpoint
        if call.method == "OPTIONS":
            await call.respond(204, [(b"allow", route.allow.encode())])
            return
        check_method(route, call.method)
        if self._gate is not None and route.action not in OPEN_TO_ALL:
            call.account = await self._gate.admit(call.headers, call.query, "user")
        await self._actions[route.action](call, route)

    async def _administer(self, call: Call) -> None:
        call.endpoint = admin.PREFIX
        if self._gate is None and not admin.is_local(call.headers, self._settings.host):
            raise admin.no_keys()
        if call.method == "OPTIONS":
            await call.respond(204, [(b"allow", admin.ALLOW)])
            return
        if self._gate is not None:
            call.account = await self._gate.admit(call.headers, call.query, "admin")
        await admin.administer(call, self._accounts, call.account or ANONYMOUS, self.desk)

    async def _show_page(self, call: Call) -> None:
        file = page.files().get(call.path) if self._settings.page else None
        if file is None:
            raise unknown_path(call.path)
        call.endpoint = page.ENDPOINT
        if call.method not in ("GET", "HEAD"):
            raise MethodNotAllowedError(f"The page is read with GET, not with {call.method}.", allow=page.ALLOW)
        await call.respond(*file.answer(call.headers))

    async def _models(self, call: Call, _: Route) -> None:
        await call.respond(
            200, _JSON, orjson.dumps(self.catalog.listing(self._upstreams.permit(call.account), self._fleet.outlook))
        )

    async def _model(self, call: Call, _: Route) -> None:
        card = self.catalog.card(model_id(call.raw_path), self._upstreams.permit(call.account), self._fleet.outlook)
        await call.respond(200, _JSON, orjson.dumps(card))

    async def _health(self, call: Call, _: Route) -> None:
        await call.respond(200, _JSON, b'{"status":"ok"}')

    async def _ready(self, call: Call, _: Route) -> None:
        if self.draining:
            raise UnavailableError(
                "This gateway is stopping; another one takes new requests.", code="shutting_down", retry_after=1.0
            )
        if self.standby:
            raise UnavailableError(
                "The models of this gateway's cluster still start; until then other gateways take requests.",
                code="standby",
                retry_after=1.0,
            )
        if self._gate is not None and self._gate.missing:
            raise UnavailableError(
                f"{self._gate.missing} Until then no request can be checked here.",
                code="store_unavailable",
                layer="accounts",
                retry_after=1.0,
            )
        if self._limits is not None and self._limits.missing:
            raise UnavailableError(
                f"{self._limits.missing} Until then no limit can be checked here.",
                code="limits_unavailable",
                layer="accounts",
                retry_after=1.0,
            )
        await call.respond(200, _JSON, b'{"status":"ready"}')

    async def _show_metrics(self, call: Call, _: Route) -> None:
        await call.respond(200, [(b"content-type", CONTENT_TYPE)], self.metrics.text())

    async def _version(self, call: Call, _: Route) -> None:
        await call.respond(200, _JSON, orjson.dumps({"version": penstock.__version__}))

    async def _stopped(self, call: Call) -> None:
        if not call.begun:
            await call.fail(
                UnavailableError("This gateway is stopping. Try again.", code="shutting_down", retry_after=1.0)
            )

    def _count_error(self, error: GatewayError) -> None:
        if error.status >= 429 and not isinstance(error, EngineFailedError):
            self.metrics.error(error.layer, error.code or "other")

    def _note(self, call: Call) -> None:
        now = time.perf_counter()
        status = call.status if call.complete or call.status >= 400 else 502
        if call.client_gone:
            status = CLIENT_GONE
        first_byte = call.first_byte - call.began if call.first_byte is not None else None
        self.metrics.answered(call.model, call.endpoint, status, now - call.began, first_byte)
        if self._accounting is not None and call.model != NO_MODEL:
            self._accounting.note(call, status, now - call.began)
        if access.isEnabledFor(logging.INFO):
            access.info(
                "request",
                extra={
                    "fields": {
                        "request_id": call.request_id.decode(),
                        "method": call.method,
                        "endpoint": call.endpoint,
                        "model": call.model,
                        "key": call.account.id if call.account is not None else None,
                        "status": status,
                        "code": call.error_code,
                        "ms": round((now - call.began) * 1000, 1),
                        "ttfb_ms": None if first_byte is None else round(first_byte * 1000, 1),
                        "held_ms": call.held_ms,
                        "bytes": call.sent,
                        "attempts": call.attempts,
                        "provider": call.provider or None,
                        "fallback": call.fallback or None,
                    }
                },
            )


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
