"""A gateway as a plain process, for models at fixed addresses: `python -m penstock.assembly.lone_gateway FILE`.

Everything that a request passes is the gateway's own, listener, keys, limits, relay and ledger; only Ray is not there:
replicas are not looked for, and a lease costs nothing. Started by `accounts_cost` and `cache_cost`, which measure
several side by side.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import uvloop
from pydantic import Field

from penstock import logs
from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.opening import OpenAccounts
from penstock.config import AnswerCache, Gateway
from penstock.config.accounts import Accounts
from penstock.config.base import Section
from penstock.config.logging import Logging
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.leases import Replica, StaticSource
from penstock.gateway.listener import Listener

_GRACE = 5.0
"""Seconds that running answers get at the end."""


class LoneGateway(Section):
    """What the process is told, as JSON in its file."""

    gateway: Gateway = Field(default_factory=Gateway)
    accounts: Accounts = Field(default_factory=Accounts)
    """`anonymous` is None where nobody is asked for a key, and nothing is counted."""
    logging: Logging = Field(default_factory=Logging)
    models: dict[str, list[str]] = Field(default_factory=dict)
    """Addresses of engines without a path, by served name. They ask for no token."""
    cache: AnswerCache | None = None
    """Whether the models' answers are kept."""


async def serve(told: LoneGateway) -> None:
    """Until SIGTERM. Raises MachineError where the port cannot be had."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    wanted = told.accounts
    accounts = OpenAccounts(wanted) if wanted.anonymous is not None else None
    limits = OpenLimits(wanted.limits) if accounts is not None else None
    if accounts is not None:
        accounts.replace_keys(wanted.keys)
        await accounts.start()
    if limits is not None:
        await limits.start()
    sources = {name: StaticSource(_replicas(name, addresses)) for name, addresses in told.models.items()}
    catalog = Catalog(ModelEntry(name, ("default",), int(time.time()), cache=told.cache) for name in sources)
    app = GatewayApp(told.gateway, catalog, sources.__getitem__, accounts=accounts, limits=limits)
    listener = Listener(app, told.gateway)
    await listener.start()
    await stop.wait()
    await listener.stop(_GRACE)
    await app.close()
    if accounts is not None:
        await accounts.close()
    if limits is not None:
        await limits.close()


def _replicas(name: str, addresses: list[str]) -> list[Replica]:
    return [Replica(f"{name}-{number}", address, token="") for number, address in enumerate(addresses)]


if __name__ == "__main__":
    _told = LoneGateway.model_validate_json(Path(sys.argv[1]).read_bytes())
    logs.set_up(level=_told.logging.level, style=_told.logging.format)
    uvloop.run(serve(_told))
