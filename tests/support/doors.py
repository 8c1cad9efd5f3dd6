"""A gateway with a real simulator behind it, for clients in other processes and for blocking ones. Used by the tests of
dialects, clients and examples."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock import config
from penstock.accounts.opening import OpenAccounts
from penstock.config.accounts import Accounts, ListedKey
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState
from penstock.gateway.leases import Replica, StaticSource
from penstock.gateway.listener import Listener
from support.engines import ServerProcess, SimulatorServer
from support.started import until

STATE = ModelState(known=True, replicas_ready=1, max_model_len=1024)


@dataclass
class Door:
    """A gateway that listens in a thread of its own."""

    engine: ServerProcess
    port: int = 0
    app: GatewayApp | None = None
    models: list[ModelEntry] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        """The base_url of OpenAI's clients."""
        return f"{self.url}/v1"


@contextmanager
def simulator_process(folder: Path, **options: Any) -> Iterator[SimulatorServer]:
    """A simulator of the model `demo`, also known as `default`."""
    names = ["--served-model-name", "demo", "default"]
    with SimulatorServer(options, log=folder / "simulator.log", arguments=names) as server:
        yield server


@contextmanager
def door(
    engine: ServerProcess,
    *,
    settings: Mapping[str, Any] | None = None,
    accounts: Mapping[str, Any] | None = None,
    keys: Mapping[str, ListedKey] | None = None,
    models: list[ModelEntry] | None = None,
    forgiving: bool = False,
) -> Iterator[Door]:
    """The gateway in front of an engine; `accounts` and `keys` as in documents."""
    found = Door(engine, models=models or [ModelEntry("demo", ("default",), 1_700_000_000, STATE)])
    up, stop = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    async def serve() -> None:
        parsed = config.Gateway.model_validate(settings or {})
        opened = (
            OpenAccounts(Accounts.model_validate({"anonymous": False, **accounts})) if accounts is not None else None
        )
        if opened is not None:
            opened.replace_keys(keys or {})
            await opened.start()
        replica = Replica("replica", engine.url, "")
        catalog = Catalog(found.models, forgiving=forgiving)
        found.app = GatewayApp(parsed, catalog, lambda _: StaticSource([replica]), accounts=opened)
        listener = Listener(found.app, parsed, port=0)
        await listener.start()
        found.port = listener.port
        up.set()
        while not stop.is_set():  # noqa: ASYNC110  # it is set by another thread
            await asyncio.sleep(0.02)
        await listener.stop(5)
        await found.app.close()
        if opened is not None:
            await opened.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as problem:  # noqa: BLE001  # told to the test
            problems.append(problem)
            up.set()

    thread = threading.Thread(target=run, name="gateway")
    thread.start()
    try:
        assert up.wait(60), "the gateway did not start"
        if not problems:
            yield found
    finally:
        stop.set()
        thread.join(60)
    if problems:
        raise problems[0]


@pytest.fixture(scope="package")
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorServer]:
    """Fast, but not so fast that an answer of 90,000 tokens, which nobody waits for, ends by itself in a minute."""
    with simulator_process(
        tmp_path_factory.mktemp("simulator"), max_model_len=100_000, tokens_per_second=1000
    ) as server:
        yield server


@pytest.fixture(scope="package")
def gateway(simulator_server: SimulatorServer) -> Iterator[Door]:
    """No keys are asked for."""
    with door(simulator_server) as found:
        yield found


def load_of(engine: ServerProcess) -> int:
    """Requests that the engine works on."""
    return int(httpx.get(f"{engine.url}/load", timeout=30).json()["server_load"])


def until_idle(engine: ServerProcess) -> None:
    """Wait until the engine works on nothing."""
    until(lambda: load_of(engine) == 0, limit=60, what="an idle engine", every=0.05)
