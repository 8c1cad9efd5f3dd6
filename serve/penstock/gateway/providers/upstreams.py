"""All providers of a gateway: models that they serve, and fallbacks of our own models. Made by `app`; `inference`
comes here for models with one of the two, and with no other request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from penstock import config
from penstock.accounts.account import Account
from penstock.config.fallback import Fallback, FallbackReason
from penstock.config.providers import Provider
from penstock.gateway.call import Call
from penstock.gateway.catalog import ModelEntry, ModelState, Permit
from penstock.gateway.errors import EngineAnsweredError, GatewayError
from penstock.gateway.metrics import Metrics
from penstock.gateway.providers import choice
from penstock.gateway.providers.asking import Plea, ProviderDoor
from penstock.gateway.providers.breaker import State
from penstock.gateway.providers.metrics import ProviderMetrics
from penstock.gateway.providers.requests import FALLBACK, PROVIDER

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A model of a provider."""

    name: str
    door: ProviderDoor
    their_name: str


class Upstreams:
    """Belongs to one event loop.

    Args:
        settings: the document's `gateway`.
        metrics: the gateway's.
    """

    def __init__(self, settings: config.Gateway, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._asked = ProviderMetrics(metrics.registry, self._states)
        self._doors: dict[str, ProviderDoor] = {}
        self._served: dict[str, Served] = {}
        self._since = int(time.time())
        self._closing: set[asyncio.Task[None]] = set()

    def replace(self, providers: Mapping[str, Provider]) -> None:
        """Know other providers. Requests in progress are not disturbed by those that did not change; one that changed
        begins anew, with a closed breaker, and what is in progress at the old one is finished there."""
        doors = {}
        for name, provider in providers.items():
            known = self._doors.pop(name, None)
            if known is not None and known.provider == provider:
                doors[name] = known
                continue
            if known is not None:
                self._close(known)
            doors[name] = ProviderDoor(
                name,
                provider,
                longest=self._settings.longest_request,
                metrics=self._metrics,
                asked=self._asked,
            )
        for gone in self._doors.values():
            self._close(gone)
        self._doors = doors
        self._served = {
            name: Served(name, doors[provider], model.model or name)
            for provider, settings in providers.items()
            for name, model in settings.models.items()
        }

    def entries(self) -> Iterator[ModelEntry]:
        """The models of all providers, for the catalog."""
        for served in self._served.values():
            door = served.door
            yield ModelEntry(
                served.name,
                tuple(door.provider.models[served.name].aliases),
                created=self._since,
                state=ModelState(endpoints=door.provider.offers),
                provider=door.name,
                available=lambda name=door.name: self.available(name),  # type: ignore[misc]  # a default binds it
            )

    def available(self, provider: str) -> bool:
        """Whether a provider is asked at present."""
        door = self._doors.get(provider)
        return door is not None and door.breaker.state(asyncio.get_running_loop().time()) is State.CLOSED

    def permit(self, account: Account | None) -> Permit | None:
        """What somebody may use, of ours and of providers; None: everything."""
        return partial(self.permits, account) if account is not None else None

    def permits(self, account: Account, asked: str, model: str) -> bool:
        """Whether somebody may use a model of ours or of a provider, as `catalog.Permit`."""
        served = self._served.get(model)
        return account.may_use(asked, model) and (served is None or account.may_use_provider(served.door.name))

    async def serve(self, call: Call, model: ModelEntry, plea: Plea) -> None:
        """Answer a request for a model of a provider. Raises GatewayError where nothing was sent to the client."""
        await self._ask(call, self._served[model.name], plea)

    async def with_fallback(
        self, call: Call, model: ModelEntry, fallback: Fallback, plea: Plea, local: Callable[[], Awaitable[None]]
    ) -> None:
        """Answer a request for a model of ours, by its fallback if our own cannot.

        Args:
            local: asks our own model. It raises GatewayError where nothing was sent to the client.

        Raises:
            GatewayError: neither could.
        """
        try:
            await local()
        except GatewayError as error:
            reason = choice.reason_for(error, ready=model.state.ready)
            # A stream that is open already has told the client that it is ours.
            if call.status == 0 and reason is not None and reason in fallback.when:
                if (why_not := await self._fall_back(call, fallback, reason, plea)) is None:
                    return
                error.message += f" Its fallback {fallback.to!r} did not help: {why_not}"
            if isinstance(error, EngineAnsweredError):
                await call.respond(error.status, error.headers, error.body)
                return
            raise

    async def close(self) -> None:
        """Close all connections. Call it when no request is in progress."""
        self.replace({})
        while self._closing:
            await asyncio.wait(self._closing)

    async def _fall_back(self, call: Call, fallback: Fallback, reason: FallbackReason, plea: Plea) -> str | None:
        """Why it did not answer; None where it did."""
        if (served := self._served.get(fallback.to)) is None:
            return "there is no such model of a provider any more."
        door, account = served.door, call.account
        if account is not None and not self.permits(account, served.name, served.name):
            return f"this key may not use {served.name!r} of the provider {door.name!r}."
        if plea.endpoint not in door.provider.offers:
            return f"the provider {door.name!r} does not offer {plea.endpoint}."
        call.fallback, call.answered_by = reason, served.name
        call.common.append((FALLBACK, reason.encode()))
        began = len(call.common)
        try:
            await self._ask(call, served, plea)
        except GatewayError as error:
            self._asked.fell_back(call.model, door.name, reason, answered=False)
            del call.common[began - 1 :]
            call.fallback = call.answered_by = call.provider = ""
            return error.message
        self._asked.fell_back(call.model, door.name, reason, answered=True)
        logger.info(
            "a provider answered instead",
            extra={
                "fields": {
                    "request_id": call.request_id.decode("latin-1"),
                    "model": call.model,
                    "provider": door.name,
                    "reason": reason,
                }
            },
        )
        return None

    async def _ask(self, call: Call, served: Served, plea: Plea) -> None:
        call.provider = served.door.name
        call.common.append((PROVIDER, served.door.name.encode()))
        await served.door.ask(call, plea, served.their_name)

    def _states(self) -> Mapping[str, State]:
        now = asyncio.get_running_loop().time()
        return {name: door.breaker.state(now) for name, door in self._doors.items()}

    def _close(self, door: ProviderDoor) -> None:
        # In time for the last request that may be in progress there.
        task = asyncio.get_running_loop().create_task(door.close_when_done())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
