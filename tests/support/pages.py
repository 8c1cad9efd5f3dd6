"""A gateway with the page and a simulator behind it. For the tests of the page, in the loop of the browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from penstock import config
from penstock.accounts.opening import OpenAccounts
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState
from penstock.gateway.leases import Replica
from penstock.gateway.listener import Listener
from support.gateways import Behaviour, FakeEngine, Gateway, RecordingSource

READY = ModelState(known=True, replicas_ready=1)
ASLEEP = ModelState(known=True)
MODELS = (ModelEntry("demo", ("default",), state=READY), ModelEntry("other", state=READY))


@asynccontextmanager
async def page_gateway(
    url: str,
    *,
    models: Iterable[ModelEntry] = MODELS,
    accounts: OpenAccounts | None = None,
    settings: dict[str, Any] | None = None,
) -> AsyncIterator[Gateway]:
    """`url`: of the engine, which answers for all models. While the source's `there` is not set, it is not there."""
    source = RecordingSource([Replica("replica", url, "")])
    parsed = config.Gateway.model_validate(settings or {})
    app = GatewayApp(parsed, Catalog(models), lambda _: source, accounts=accounts)
    listener = Listener(app, parsed, port=0)
    await listener.start()
    try:
        yield Gateway(app, listener, [], source)
    finally:
        await listener.stop(0.1)
        await app.close()
    assert source.taken == source.returned, "a lease was lost"


@asynccontextmanager
async def fake_engine(behaviour: Behaviour) -> AsyncIterator[FakeEngine]:
    """An engine that says what a real one does not say on demand."""
    engine = FakeEngine(behaviour)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()
