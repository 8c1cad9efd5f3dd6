"""The gateway as an ASGI application: authentication, resolution of the model, relay. Used by `listener`.

No framework: the road from the request to the engine is a table look-up and one JSON document.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

import orjson

import penstock
from penstock import config
from penstock.accounts.account import ANONYMOUS
from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.opening import OpenAccounts
from penstock.config.providers import Provider
from penstock.gateway import admin, bodies, cors
from penstock.gateway.accounting import Accounting
from penstock.gateway.admission import enter, leave
from penstock.gateway.attempt import Count, Request
from penstock.gateway.authentication import Gate
from penstock.gateway.cache.caching import Cache, Question
from penstock.gateway.call import CLIENT_GONE, Call, ClientGoneError, Receive, Scope, Send
from penstock.gateway.catalog import Catalog, ModelEntry, Permit
from penstock.gateway.dialects.edge import Edge
from penstock.gateway.dialects.paths import foreign
from penstock.gateway.dialects.table import DIALECTS
from penstock.gateway.engine_client import EngineClient, HttpEngineClient
from penstock.gateway.errors import (
    BadRequestError,
    EngineFailedError,
    GatewayError,
    MethodNotAllowedError,
    UnavailableError,
)
from penstock.gateway.headers import Header, first
from penstock.gateway.leases import LeaseSource
from penstock.gateway.metrics import CONTENT_TYPE, NO_MODEL, Metrics
from penstock.gateway.models_desk import ModelsDesk
from penstock.gateway.page import files as page
from penstock.gateway.pool import LeasePool, PoolSettings
from penstock.gateway.providers.asking import Plea
from penstock.gateway.providers.upstreams import Upstreams
from penstock.gateway.relay import Relay
from penstock.gateway.routes import (
    OPEN_TO_ALL,
    Action,
    Route,
    check_method,
    engine_path,
    find_route,
    model_id,
    unknown_path,
)
from penstock.gateway.starts import Outlook, StartMemory

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
        self._source_of = source_of
        self._account_of = account_of
        self._accounts = accounts
        self._gate = Gate(accounts) if accounts is not None else None
        usage = accounts.usage if accounts is not None else None
        prices = limits.limiter.settings.prices if limits is not None else None
        self._accounting = Accounting(usage, self.metrics.registry, prices) if usage is not None else None
        self._limits = limits
        self._limiter = limits.limiter if limits is not None else None
        if self._limiter is not None:
            limiter = self._limiter
            self.metrics.watch_counters(lambda: limiter.gone)
        self._client = client or HttpEngineClient(settings.connect_timeout)
        self._relay = Relay(self._client, settings, self.metrics)
        self._upstreams = Upstreams(settings, self.metrics)
        self._catalog = Catalog()
        self._cache = Cache(settings, self._identity, self.metrics.registry)
        self._pools: dict[str, LeasePool] = {}
        self._starts: dict[str, StartMemory] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self.desk = ModelsDesk(lambda: self._pools, lambda: self._catalog, self._outlook)
        """What administrators ask of models."""
        self._actions: Mapping[Action, Callable[[Call, Route], Awaitable[None]]] = {
            Action.RELAY: self._relay_call,
            Action.MODELS: self._models,
            Action.MODEL: self._model,
            Action.HEALTH: self._health,
            Action.READY: self._ready,
            Action.METRICS: self._show_metrics,
            Action.VERSION: self._version,
        }
        self.metrics.watch(lambda: self._pools, connections)
        self.reconfigure(catalog)

    @property
    def pools(self) -> Mapping[str, LeasePool]:
        """The pool of each model, by name."""
        return self._pools

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    def reconfigure(self, catalog: Catalog) -> None:
        """Serve other models, or know other states of the same. Requests in progress are not disturbed; a removed
        model's pool gives its leases back when its last request is done."""
        settings = self._settings
        ours = catalog.models
        catalog = catalog.with_more(self._upstreams.entries())
        for name in ours.keys() - self._pools.keys():
            self._pools[name] = LeasePool(
                name,
                self._source_of(name),
                PoolSettings(
                    keep=settings.leases.keep,
                    renew=settings.leases.renew,
                    hold_requests=settings.hold.requests,
                    hold_seconds=settings.hold.seconds,
                ),
                account=partial(self._account_of, name),
                outlook=partial(self._outlook, name),
                none_ready=partial(self._none_ready, name),
            )
        for name in self._pools.keys() - ours.keys():
            task = asyncio.get_running_loop().create_task(self._pools.pop(name).close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            self._starts.pop(name, None)
        self._catalog = catalog
        now = asyncio.get_running_loop().time()
        for name, model in ours.items():
            self._starts.setdefault(name, StartMemory()).note(model.state.starts, model.state.starting, now)

    def _identity(self, name: str) -> str | None:
        model = self._catalog.models.get(name)
        return model.identity if model is not None else None

    def replace_providers(self, providers: Mapping[str, Provider]) -> None:
        """Know other providers; their models are served from the next `reconfigure` on."""
        self._upstreams.replace(providers)

    def _none_ready(self, name: str) -> bool:
        model = self._catalog.models.get(name)
        return model is not None and model.state.known and not model.state.ready

    def _outlook(self, name: str) -> Outlook:
        if name not in self._starts or not self._none_ready(name):
            return Outlook()
        return self._starts[name].outlook(asyncio.get_running_loop().time())

    def drain(self) -> None:
        """Say not ready, and `connection: close` on every answer from now on."""
        self.draining = True

    async def close(self) -> None:
        """Give all leases back and close connections to engines. Call it when no request is in progress."""
        self.drain()
        await self.desk.close()
        self.reconfigure(Catalog())
        while self._leaving:
            await asyncio.wait(self._leaving)
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

    async def _relay_call(self, call: Call, route: Route) -> None:
        content_type = bodies.check_media(
            first(call.headers, b"content-type"), first(call.headers, b"content-encoding"), route.body
        )
        body = await call.read_body(self._settings.max_body_bytes)
        asked = bodies.asked(body, content_type, route.body, self._settings.max_json_depth)
        model = self._catalog.resolve(asked.model, self._permit(call))
        call.model = model.name
        if not model.is_called(asked.model):
            body = bodies.renamed(body, content_type, route.body, model.name)
        path = engine_path(route, model.state.endpoints, call.path.rstrip("/"))
        if path is None:
            raise _not_offered(model, route)
        request = Request(
            path + (f"?{call.query.decode('latin-1')}" if call.query else ""), body, content_type, asked.stream
        )
        question = None if model.cache is None else self._cache.question(call, model, request)
        if self._accounting is not None:
            self._accounting.check()
        counts = self._accounts is not None or self._limiter is not None
        if counts and not model.provider:
            request = _counted(call, request, asked)
        task = asyncio.current_task()
        assert task is not None
        watcher = asyncio.get_running_loop().create_task(_watch(call, task))
        admission = None
        try:
            if self._limiter is not None:
                admission = await enter(self._limiter, self.metrics, call, asked, len(body))
            if not model.provider and model.fallback is None:
                await self._ask_engines(call, model, request, question)
                return
            plea = Plea(route.endpoint, body, asked.stream, counts)
            if model.fallback is None:
                await self._upstreams.serve(call, model, plea)
            else:
                # What comes of a fallback is not kept: it is not the model's own answer.
                ask = partial(self._ask_engines, call, model, replace(request, holds_back=True), question)
                await self._upstreams.with_fallback(call, model, model.fallback, plea, ask)
        finally:
            watcher.cancel()
            if self._limiter is not None and admission is not None:
                leave(self._limiter, admission, call, asked, len(body))

    async def _ask_engines(self, call: Call, model: ModelEntry, request: Request, question: Question | None) -> None:
        pool = self._pools[model.name]
        if question is None:
            await self._relay.run(call, pool, request)
        else:
            await self._cache.answer(question, call, lambda call: self._relay.run(call, pool, request))

    def _permit(self, call: Call) -> Permit | None:
        return partial(self._upstreams.permits, call.account) if call.account is not None else None

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
        await call.respond(200, _JSON, orjson.dumps(self._catalog.listing(self._permit(call), self._outlook)))

    async def _model(self, call: Call, _: Route) -> None:
        card = self._catalog.card(model_id(call.raw_path), self._permit(call), self._outlook)
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


def _counted(call: Call, request: Request, asked: bodies.Asked) -> Request:
    engine_id = f"{call.request_id.decode('latin-1')}-{secrets.token_hex(6)}"
    body, strips = bodies.counted(request.body, asked, call.endpoint, engine_id)
    return replace(request, body=body, count=Count(engine_id, strips))


async def _watch(call: Call, task: asyncio.Task[object]) -> None:
    """Cancel the request's task when its client leaves, wherever the task is."""
    while (await call.receive())["type"] != "http.disconnect":
        pass
    if not call.complete:
        call.client_gone = True
        task.cancel()


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _not_offered(model: ModelEntry, route: Route) -> BadRequestError:
    offered = ", ".join(sorted(model.state.endpoints))
    return BadRequestError(
        f"The model {model.name!r} does not offer {route.endpoint}. It offers {offered}.",
        code="endpoint_not_supported",
        param="model",
    )
