"""What keys, limits and usage cost: three gateways side by side before the same engines.

One engine streams 100 tokens a second to each client, a piece for each token; the other makes tokens for nothing and
hands out an answer in few pieces, so that the processor is all that there is too little of.

Used by `penstock bench --accounts`. Everything that is started here ends with the context.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from penstock import environment
from penstock.assembly.comparison import LOOPBACK, Bare, bare_engine, until
from penstock.assembly.lone_gateway import LoneGateway
from penstock.assembly.own_servers import own_postgres, own_redis
from penstock.bench import Plan, Target
from penstock.config import Document
from penstock.config.accounts import Accounts
from penstock.config.limits import MOST, MOST_MONEY
from penstock.engine.log import EngineLog
from penstock.engine.process import EngineProcess
from penstock.engine.replica import free_port

ONE_GATEWAY = "keys and usage in SQLite, limits in memory"
SEVERAL_GATEWAYS = "keys and usage in PostgreSQL, limits in Redis"

PACED = "paced"
FOR_NOTHING = "for-nothing"
_MODELS = {
    name: {
        "engine": "simulator",
        "options": {"time_to_first_token": 0, "tokens_per_second": pace, "max_num_seqs": 1024},
    }
    for name, pace in ((PACED, 100), (FOR_NOTHING, 0))
}
_STOP_GRACE = 30.0


class Run(NamedTuple):
    """One part of the measurement: a load, against the model of one engine."""

    name: str
    model: str
    plan: Plan


def runs(*, rounds: int, pairs: int, max_tokens: int) -> list[Run]:
    """What is measured, in order.

    Args:
        rounds: slots with 32 streams for each gateway. They are long enough for the start of all at once to weigh
            little.
        pairs: short requests at one stream for each gateway.
        max_tokens: of each answer at 32 streams.
    """
    load = Plan(concurrencies=(32,), rounds=rounds, requests_per_stream=4, max_tokens=max_tokens)
    return [
        Run("load", PACED, load),
        Run("first-token", PACED, Plan.first_token(pairs)),
        Run("load-for-nothing", FOR_NOTHING, replace(load, requests_per_stream=8)),
    ]


def accounts_of_one_gateway(folder: Path) -> Accounts:
    """What a laptop has: every kind of limit, none of which is ever reached."""
    return _accounts({"sqlite": str(folder / "accounts.db")}, folder)


def accounts_of_several_gateways(postgres: Path, redis: Path, folder: Path) -> Accounts:
    """What a cluster has. The paths are those of files with addresses."""
    return _accounts({"file": str(postgres)}, folder, redis={"file": str(redis)})


def _accounts(database: dict[str, Any], folder: Path, **limits: Any) -> Accounts:
    every_key = {
        "requestsPerMinute": MOST,
        "tokensPerMinute": MOST,
        "requestsAtOnce": MOST,
        "tokensPerDay": MOST,
        "moneyPerMonth": MOST_MONEY,
    }
    prices = {name: {"prompt": 0.1, "completion": 0.1} for name in _MODELS}
    return Accounts.model_validate(
        {
            "anonymous": False,
            "database": database,
            "limits": {"everyKey": every_key, "prices": prices, **limits},
            "usage": {"directory": str(folder / "usage")},
        }
    )


class _Compared(NamedTuple):
    """One of the gateways."""

    name: str
    accounts: Accounts
    stores: list[int]
    """Processes of the servers that it uses."""


@contextlib.asynccontextmanager
async def with_and_without(folder: Path, say: Callable[[str], None]) -> AsyncIterator[Callable[[str], list[Target]]]:
    """Start all of it one after the other, and wait until each serves.

    Gives the gateways as targets for a model, the one without accounts first.

    Args:
        folder: for logs, SQLite's file and the ledgers' journals; begins anew where it was used before.
        say: told what is being waited for.

    Raises:
        EngineError: something does not start, or a server is not installed.
        StoreError: no key can be made.
    """
    async with contextlib.AsyncExitStack() as stack:
        say("the engines are starting")
        document = Document.model_validate({"models": _MODELS})
        engines = {
            name: await stack.enter_async_context(bare_engine(name, model, document, folder))
            for name, model in document.models.items()
        }
        say("PostgreSQL and Redis are starting")
        postgres = await stack.enter_async_context(own_postgres(folder))
        redis = await stack.enter_async_context(own_redis(folder))
        one = accounts_of_one_gateway(_made(folder / "one"))
        several = accounts_of_several_gateways(postgres.address, redis.address, _made(folder / "several"))
        say("the gateways are starting")
        compared = (
            _Compared("no accounts", Accounts(), []),
            _Compared(ONE_GATEWAY, one, []),
            _Compared(SEVERAL_GATEWAYS, several, [*postgres.pids, *redis.pids]),
        )
        gateways = [await stack.enter_async_context(_gateway(each, engines, folder)) for each in compared]
        yield lambda model: [target_of(model) for target_of in gateways]


@contextlib.asynccontextmanager
async def _gateway(
    compared: _Compared, engines: Mapping[str, Bare], folder: Path
) -> AsyncIterator[Callable[[str], Target]]:
    name, accounts, stores = compared
    key = await _new_key(accounts) if accounts.database is not None else None
    told = {
        "accounts": accounts.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "models": {model: [engine.url.removesuffix("/v1")] for model, engine in engines.items()},
    }
    async with started_gateway(name, told, folder) as gateway:

        def target_of(model: str) -> Target:
            used = {"stores": stores} if stores else {}
            pids = {"gateway": gateway.process.pids(), "engine": engines[model].pids, **used}
            return Target(name, f"{gateway.url}/v1", model, api_key=key, pids=pids)

        yield target_of


class StartedGateway(NamedTuple):
    """A gateway as a process of its own."""

    url: str
    """Without a path."""
    process: EngineProcess


@contextlib.asynccontextmanager
async def started_gateway(name: str, more: Mapping[str, Any], folder: Path) -> AsyncIterator[StartedGateway]:
    """Start one, and wait until it serves; it ends with the context.

    Args:
        name: what it is called in errors.
        more: what it is told, as `LoneGateway` has it, but for where it listens.
        folder: for its log.

    Raises EngineError where it does not start.
    """
    port = free_port(LOOPBACK)
    base_url = f"http://{LOOPBACK}:{port}"
    listening = {"host": LOOPBACK, "port": port}
    told = LoneGateway.model_validate({**more, "gateway": {**more.get("gateway", {}), **listening}})
    path = folder / f"gateway-{port}.json"
    path.write_text(told.model_dump_json(by_alias=True, exclude_defaults=True), encoding="utf-8")
    log = EngineLog(folder / f"gateway-{port}.log")
    command = [sys.executable, "-m", "penstock.assembly.lone_gateway", str(path)]
    process = EngineProcess.start(command, environment.inherited(), log)
    try:
        async with aiohttp.ClientSession() as session:
            await until(lambda: _is_ready(session, base_url), process, log, f"the gateway: {name}")
        yield StartedGateway(base_url, process)
    finally:
        await process.stop(_STOP_GRACE)


async def _is_ready(session: aiohttp.ClientSession, base_url: str) -> bool:
    try:
        async with session.get(f"{base_url}/readyz") as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError):
        return False


async def _new_key(accounts: Accounts) -> str:
    # Only now: other benches do not wait for the libraries of databases.
    from penstock.accounts.address import address_of  # noqa: PLC0415
    from penstock.accounts.records import NewKey  # noqa: PLC0415
    from penstock.accounts.service import KeyService  # noqa: PLC0415
    from penstock.accounts.store import Store  # noqa: PLC0415

    assert accounts.database is not None
    store = Store(address_of(accounts.database))
    await store.open()
    try:
        made = await KeyService(store).create(NewKey(name="bench", owner="bench"), actor="penstock bench")
    finally:
        await store.close()
    return made.key.get_secret_value()


def _made(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
