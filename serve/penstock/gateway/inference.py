"""Requests for a model: read, resolved, let in, and answered by engines, the cache or a provider. Used by `app`."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from functools import partial

from penstock import config
from penstock.accounts.limits.limiter import Limiter
from penstock.gateway import bodies
from penstock.gateway.accounting import Accounting
from penstock.gateway.admission import enter, leave
from penstock.gateway.attempt import Count, Request
from penstock.gateway.cache.caching import Cache, Question
from penstock.gateway.call import Call
from penstock.gateway.catalog import ModelEntry
from penstock.gateway.errors import BadRequestError
from penstock.gateway.fleet import Fleet
from penstock.gateway.headers import first
from penstock.gateway.metrics import Metrics
from penstock.gateway.providers.asking import Plea
from penstock.gateway.providers.upstreams import Upstreams
from penstock.gateway.relay import Relay
from penstock.gateway.routes import Route, engine_path


class Inference:
    """What one gateway does with requests for its models.

    Args:
        settings: the document's `gateway`.
        fleet: the models.
        relay: the road to engines.
        upstreams: the road to providers.
        cache: answers that are kept.
        metrics: of the gateway.
        accounting: counts usage; None where nobody asks for it.
        limiter: lets requests in; None where there are no limits.
        counts: whether what engines tell of tokens is asked for.
    """

    def __init__(
        self,
        settings: config.Gateway,
        fleet: Fleet,
        *,
        relay: Relay,
        upstreams: Upstreams,
        cache: Cache,
        metrics: Metrics,
        accounting: Accounting | None,
        limiter: Limiter | None,
        counts: bool,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._relay = relay
        self._upstreams = upstreams
        self._cache = cache
        self._metrics = metrics
        self._accounting = accounting
        self._limiter = limiter
        self._counts = counts

    async def answer(self, call: Call, route: Route) -> None:
        """Answer a request on a route to engines. Raises GatewayError and what reading a body raises."""
        content_type = bodies.check_media(
            first(call.headers, b"content-type"), first(call.headers, b"content-encoding"), route.body
        )
        body = await call.read_body(self._settings.max_body_bytes)
        asked = bodies.asked(body, content_type, route.body, self._settings.max_json_depth)
        model = self._fleet.catalog.resolve(asked.model, self._upstreams.permit(call.account))
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
        if self._counts and not model.provider:
            request = _counted(call, request, asked)
        task = asyncio.current_task()
        assert task is not None
        watcher = asyncio.get_running_loop().create_task(_watch(call, task))
        admission = None
        try:
            if self._limiter is not None:
                admission = await enter(self._limiter, self._metrics, call, asked, len(body))
            if not model.provider and model.fallback is None:
                await self._ask_engines(call, model, request, question)
                return
            plea = Plea(route.endpoint, body, asked.stream, self._counts)
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
        pool = self._fleet.pools[model.name]
        if question is None:
            await self._relay.run(call, pool, request)
        else:
            await self._cache.answer(question, call, lambda call: self._relay.run(call, pool, request))


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


def _not_offered(model: ModelEntry, route: Route) -> BadRequestError:
    offered = ", ".join(sorted(model.state.endpoints))
    return BadRequestError(
        f"The model {model.name!r} does not offer {route.endpoint}. It offers {offered}.",
        code="endpoint_not_supported",
        param="model",
    )
