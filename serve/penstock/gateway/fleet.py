"""The models that a gateway serves: what is known of each, and the pool of its leases. Used by `app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from penstock import config
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.leases import LeaseSource
from penstock.gateway.pool import LeasePool, PoolSettings
from penstock.gateway.starts import Outlook, StartMemory


class Fleet:
    """Belongs to one event loop.

    Args:
        settings: the document's `gateway`.
        source_of: makes the source of a model's leases; called once for each model that comes.
        account_of: what is known of why a model has no replica, in whole sentences; empty where nothing is.
    """

    def __init__(
        self, settings: config.Gateway, source_of: Callable[[str], LeaseSource], account_of: Callable[[str], str]
    ) -> None:
        self._settings = settings
        self._source_of = source_of
        self._account_of = account_of
        self._catalog = Catalog()
        self._pools: dict[str, LeasePool] = {}
        self._starts: dict[str, StartMemory] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def catalog(self) -> Catalog:
        """All models, those of providers among them."""
        return self._catalog

    @property
    def pools(self) -> Mapping[str, LeasePool]:
        """The pool of each model that has engines, by name."""
        return self._pools

    def replace(self, catalog: Catalog, more: Iterable[ModelEntry]) -> None:
        """Serve other models, or know other states of the same. Requests in progress are not disturbed; a removed
        model's pool gives its leases back when its last request is done.

        Args:
            catalog: models with engines.
            more: those of providers, which need no pool.
        """
        settings = self._settings
        ours = catalog.models
        catalog = catalog.with_more(more)
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
                outlook=partial(self.outlook, name),
                ready=partial(self._ready, name),
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

    def identity(self, name: str) -> str | None:
        """Of what answers as a model; None where that is not one thing."""
        model = self._catalog.models.get(name)
        return model.identity if model is not None else None

    def outlook(self, name: str) -> Outlook:
        """When a model without a ready replica may have one."""
        if name not in self._starts or self._ready(name) is not False:
            return Outlook()
        return self._starts[name].outlook(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Give all leases back. Call it when no request is in progress."""
        self.replace(Catalog(), [])
        while self._leaving:
            await asyncio.wait(self._leaving)

    def _ready(self, name: str) -> bool | None:
        model = self._catalog.models.get(name)
        return model.state.ready if model is not None and model.state.known else None
