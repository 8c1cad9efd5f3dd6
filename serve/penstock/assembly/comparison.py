"""What a bench compares: a bare engine, a bare simulator, and a Penstock with both, all on this machine at once.

Used by `penstock bench --compare`, and by `cold_start`. Everything that is started here ends with the context.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from penstock import environment
from penstock.assembly.status import Status
from penstock.bench import Target
from penstock.config import Document, Model, Source, parse_source
from penstock.engine.command import Place, engine_command, overlaid
from penstock.engine.log import EngineLog
from penstock.engine.probe import EngineProbe
from penstock.engine.process import EngineProcess
from penstock.engine.replica import free_port
from penstock.engine.weights import fetch
from penstock.errors import DocumentError, EngineError

SIMULATOR = "simulator"
START_LIMIT = 900.0
"""Seconds that everything has to start: two engines share the machine."""
LOOPBACK = "127.0.0.1"
_LOOK = 0.1
_STOP_GRACE = 60.0
_READY = "Ctrl-C stops everything"
"""What `penstock up` prints once it serves."""


class Compared(NamedTuple):
    """The addresses to measure; of each kind the bare one comes first."""

    engine: list[Target]
    """A vLLM of its own, and Penstock."""
    gateway: list[Target]
    """Penstock's engine asked directly, and through the gateway: two vLLM processes differ by more than a gateway."""
    simulator: list[Target]


@contextlib.asynccontextmanager
async def side_by_side(document: Document, folder: Path, say: Callable[[str], None]) -> AsyncIterator[Compared]:
    """Start all of it one after the other, and wait until each serves.

    Args:
        document: its first model with weights is compared; a simulator is put beside it.
        folder: for logs and the state of the Penstock that is started.
        say: told what is being waited for.

    Raises:
        DocumentError: it names no model with weights.
        EngineError: something does not start.
    """
    name, model = compared_model(document)
    simulator = Model.model_validate({"engine": "simulator", "options": {"tokens_per_second": 0, "max_num_seqs": 1024}})
    async with contextlib.AsyncExitStack() as stack:
        say("bare vLLM is starting")
        bare = await stack.enter_async_context(bare_engine(name, model, document, folder))
        say("a bare simulator is starting")
        bare_simulator = await stack.enter_async_context(bare_engine(SIMULATOR, simulator, document, folder))
        say("Penstock is starting")
        port = free_port(LOOPBACK)
        both = document.model_copy(
            update={
                "models": {name: model, SIMULATOR: simulator},
                "gateway": document.gateway.model_copy(update={"host": LOOPBACK, "port": port}),
            }
        )
        roles = await stack.enter_async_context(own_penstock(both, folder))
        url = f"http://{LOOPBACK}:{port}/v1"
        yield Compared(
            engine=[
                Target("bare vLLM", bare.url, name, pids={"engine": bare.pids}),
                Target("Penstock", url, name, pids=roles(name)),
            ],
            gateway=[
                _directly(name, roles(name)["engine"]),
                Target("through the gateway", url, name, pids=roles(name)),
            ],
            simulator=[
                Target("bare simulator", bare_simulator.url, SIMULATOR, pids={"engine": bare_simulator.pids}),
                Target("Penstock, simulator", url, SIMULATOR, pids=roles(SIMULATOR)),
            ],
        )


class Bare(NamedTuple):
    """An engine without a Penstock."""

    url: str
    pids: list[int]


def compared_model(document: Document) -> tuple[str, Model]:
    """The first model with weights, and its name. Raises DocumentError."""
    for name, model in document.models.items():
        if model.engine == "vllm":
            return name, model
    raise DocumentError("The document names no model with weights.", remedy="Name one, or leave out --compare.")


@contextlib.asynccontextmanager
async def bare_engine(name: str, model: Model, document: Document, folder: Path) -> AsyncIterator[Bare]:
    """The engine as a user would start it by hand, with the same options, for everybody of this machine."""
    place = Place(LOOPBACK, free_port(LOOPBACK), token="")
    with contextlib.ExitStack() as held:
        weights = None
        if model.source is not None:
            source: Source = parse_source(model.source)
            holding = await asyncio.to_thread(fetch, source, document.weights)
            held.callback(holding.release)
            weights = str(holding.path)
        command = engine_command(name, model, gpus=document.gpus_of(model), weights=weights, place=place, guarded=False)
        log = EngineLog(folder / f"bare-{name.replace('/', '-')}.log")
        process = EngineProcess.start(command.arguments, overlaid(environment.inherited(), command), log)
        try:
            async with EngineProbe(place) as probe:
                await until(probe.healthy, process, log, f"bare {name}")
            yield Bare(f"{place.base_url}/v1", process.pids())
        finally:
            await process.stop(_STOP_GRACE)


@contextlib.asynccontextmanager
async def own_penstock(document: Document, folder: Path) -> AsyncIterator[Callable[[str], dict[str, list[int]]]]:
    """A Penstock of its own; gives the processes by role for one of its models."""
    state = folder / "state"
    path = folder / "penstock.json"
    path.write_text(document.model_dump_json(by_alias=True, exclude_defaults=True), encoding="utf-8")
    around = {**environment.inherited(), environment.STATE_DIRECTORY: str(state)}
    log = EngineLog(folder / "penstock.log")
    process = EngineProcess.start([sys.executable, "-m", "penstock", "up", "-f", str(path)], around, log)
    try:

        async def serves() -> bool:
            return any(_READY in line for line in log.tail())

        await until(serves, process, log, "Penstock")
        status = await _status(around)
        leader = process.pids()[0]

        def roles(model: str) -> dict[str, list[int]]:
            engines = [p for m in status.models if m.name == model for r in m.replicas for p in r.engine_pids]
            return {"gateway": status.gateway.pids, "engine": engines, "ray": [leader]}

        yield roles
    finally:
        await process.stop(_STOP_GRACE)


def _directly(name: str, pids: list[int]) -> Target:
    """The engine at its own address, with the token that only its processes know."""
    engine = next(process for process in map(psutil.Process, pids) if environment.ENGINE_TOKEN in process.environ())
    options = [word for pid in pids for word in psutil.Process(pid).cmdline()]
    port = options[options.index("--port") + 1]
    token = engine.environ()[environment.ENGINE_TOKEN]
    return Target("the engine itself", f"http://{LOOPBACK}:{port}/v1", name, api_key=token, pids={"engine": pids})


async def _status(around: dict[str, str]) -> Status:
    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "penstock", "status", "--json",
        env=around, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    said, _ = await asking.communicate()
    return Status.model_validate_json(said)


async def until(condition: Callable[[], Awaitable[bool]], process: EngineProcess, log: EngineLog, what: str) -> None:
    """Wait until something that was started is there. Raises EngineError where it ends before, or is too slow."""
    limit = time.monotonic() + START_LIMIT
    while not await condition():
        if not process.running or time.monotonic() > limit:
            told = "".join(f"\n  | {line}" for line in log.tail(20))
            raise EngineError(f"{what} did not start:{told}", remedy=f"The whole log: {log.path}")
        await asyncio.sleep(_LOOK)
