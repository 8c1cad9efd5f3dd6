"""One replica of a model: fetch the weights, start the engine, wait until it can serve, watch it, stop it.

Knows neither Ray nor Serve: `deployment` is the thin class that Serve runs around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import aiohttp

from penstock.board import Board, Failure, Phase, ReplicaReport
from penstock.config import Source, Weights, parse_source
from penstock.config.units import format_bytes, format_duration
from penstock.engine import diagnosis
from penstock.engine.command import Place, engine_command, overlaid
from penstock.engine.log import EngineLog
from penstock.engine.probe import EngineProbe, Offer
from penstock.engine.process import EngineProcess
from penstock.engine.reporting import Reporter
from penstock.engine.spec import EngineSpec
from penstock.engine.stall import Sample, StallClock, take_sample
from penstock.engine.weights import Progress, fetch
from penstock.environment import inherited
from penstock.errors import EngineError, PenstockError

PORT_ATTEMPTS = 3
STOP_GRACE = 15.0
"""Seconds that an engine without requests has between SIGTERM and SIGKILL."""
_POLL = 0.25
_LOADING = re.compile(r"Starting to load model|Loading safetensors|Loading weights|Loading model")

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Identity(NamedTuple):
    """Who a replica is, and where."""

    replica: str
    node: str
    pid: int
    host: str
    """Address on which its engine listens."""


class HeldWeights(Protocol):
    """Weights in place, safe from eviction until released."""

    @property
    def path(self) -> Path: ...

    def release(self) -> None: ...


class Fetch(Protocol):
    """`penstock.engine.weights.fetch`, or a stand-in for faults."""

    def __call__(
        self,
        source: Source,
        settings: Weights,
        *,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
    ) -> HeldWeights: ...


class EngineReplica:
    """Lives on one event loop: `start`, then any number of looks at it, then `stop`."""

    def __init__(
        self,
        spec: EngineSpec,
        identity: Identity,
        board: Board,
        *,
        log: EngineLog,
        on_death: Callable[[Failure], None] = lambda _: None,
        fetch_weights: Fetch = fetch,
    ) -> None:
        """
        Args:
            on_death: called once when the engine ends after it was ready, its report already on the board.
        """
        self._spec = spec
        self._identity = identity
        self._log = log
        self._on_death = on_death
        self._fetch = fetch_weights
        report = ReplicaReport(model=spec.name, replica=identity.replica, node=identity.node, pid=identity.pid)
        self._reporter = Reporter(board, report)
        self._token = secrets.token_urlsafe(32)
        self._place: Place | None = None
        self._process: EngineProcess | None = None
        self._weights: HeldWeights | None = None
        self._starting: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self.failure: Failure | None = None
        """Why it can serve no longer; None while it can."""

    @property
    def place(self) -> Place:
        """Where the engine listens. Raises RuntimeError before `start` returned."""
        if self._place is None:
            raise RuntimeError("the engine has not been started")
        return self._place

    @property
    def report(self) -> ReplicaReport:
        return self._reporter.report

    async def start(self) -> None:
        """Return when the engine serves.

        Raises:
            PenstockError: it cannot; nothing of it is left running, and the report says why.
        """
        self._reporter.start()
        self._starting = asyncio.get_running_loop().create_task(self._start(), name="engine-start")
        try:
            await self._starting
        except BaseException as error:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
            if isinstance(error, PenstockError) and self.failure is None:
                self.failure = Failure(cause=error.message, remedy=error.remedy)
                self._reporter.fail(self.failure)
            await self._clean_up(remove_report=self.failure is None)
            raise

    async def stop(self, grace: float) -> None:
        """Let running requests finish, at most `grace` seconds, then end the engine. Does nothing the second time."""
        if self._stopping:
            return
        self._stopping = True
        if self._starting is not None and not self._starting.done():
            # `start` is still awaited by somebody, who cleans up.
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
            return
        if self.failure is None:
            self._reporter.enter(Phase.DRAINING)
            await self._drained(grace)
        await self._clean_up(remove_report=self.failure is None)

    async def running_requests(self) -> int | None:
        """Requests in the engine, running or queued; None when it does not answer."""
        if self._place is None or self.failure is not None:
            return None
        async with EngineProbe(self._place) as probe:
            return await probe.running_requests()

    async def _start(self) -> None:
        weights = await self._fetch_weights()
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._reporter.enter(Phase.STARTING)
            found = await self._start_engine(weights)
            if found is None:
                break
            if found.rule != diagnosis.PORT_TAKEN or attempt == PORT_ATTEMPTS:
                raise self._failed(found.failure)
        await self._warm_up()
        self._watch = asyncio.get_running_loop().create_task(self._watch_engine(), name="engine-watch")

    async def _fetch_weights(self) -> str | None:
        if self._spec.model.source is None:
            return None
        self._reporter.enter(Phase.FETCHING)
        cancelled = threading.Event()
        source = parse_source(self._spec.model.source)
        fetching = asyncio.create_task(
            asyncio.to_thread(
                self._fetch,
                source,
                self._spec.weights,
                report=_throttled(asyncio.get_running_loop(), lambda p: self._reporter.say(detail=_progress_text(p))),
                cancelled=cancelled.is_set,
            )
        )
        try:
            self._weights = await asyncio.shield(fetching)
        except asyncio.CancelledError:
            # The thread cannot be interrupted; it looks at the flag, and what it fetched so far stays for the next one.
            cancelled.set()
            await asyncio.gather(fetching, return_exceptions=True)
            raise
        return str(self._weights.path)

    async def _start_engine(self, weights: str | None) -> diagnosis.Diagnosis | None:
        """Start it and wait until it is healthy; what went wrong, or None."""
        place = Place(self._identity.host, free_port(self._identity.host), self._token)
        command = engine_command(self._spec.name, self._spec.model, gpus=self._spec.gpus, weights=weights, place=place)
        process = EngineProcess.start(
            command.arguments, overlaid(inherited(), command), self._log, on_line=self._look_for_loading
        )
        self._process, self._place = process, place
        try:
            async with EngineProbe(place) as probe:
                await self._until_healthy(process, probe)
        except _NotStartedError as error:
            status = process.exit_status
            await process.kill()
            found = diagnosis.diagnose(self._log.tail(), status)
            cause = error.cause or found.failure.cause
            return found._replace(failure=found.failure.model_copy(update={"cause": cause}))
        return None

    async def _until_healthy(self, process: EngineProcess, probe: EngineProbe) -> None:
        began = time.monotonic()
        limits = self._spec.model.startup
        clock = StallClock(self._sample(process))
        while not await probe.healthy():
            if not process.running:
                raise _NotStartedError(None)
            if clock.observe(self._sample(process)) > limits.stall:
                raise _NotStartedError(
                    f"The engine made no progress for {format_duration(limits.stall)} while starting and was stopped."
                )
            if time.monotonic() - began > limits.limit:
                raise _NotStartedError(f"The engine was not ready after {format_duration(limits.limit)}.")
            await asyncio.sleep(_POLL)

    def _sample(self, process: EngineProcess) -> Sample:
        return take_sample(process.pids(), at=time.monotonic(), log_bytes=self._log.written)

    async def _warm_up(self) -> None:
        process = self._engine
        self._reporter.enter(Phase.WARMING, engine_pids=process.pids())
        try:
            async with EngineProbe(self.place) as probe:
                offer = await self._unless_it_ends(probe.offer())
                if self._spec.model.warm_up:
                    await self._unless_it_ends(probe.warm_up(self._spec.name, offer.endpoints))
        except (aiohttp.ClientError, TimeoutError) as error:
            found = diagnosis.diagnose(self._log.tail(), process.exit_status)
            cause = f"The engine is healthy but failed its first request: {error}."
            failure = found.failure if found.rule else found.failure.model_copy(update={"cause": cause})
            raise self._failed(failure) from error
        self._ready(offer)

    def _ready(self, offer: Offer) -> None:
        self._reporter.enter(
            Phase.READY,
            engine_pids=self._engine.pids(),
            max_model_len=offer.max_model_len,
            endpoints=offer.endpoints,
        )

    async def _unless_it_ends(self, call: Awaitable[T]) -> T:
        """Await the call, but no longer than the engine lives."""
        asking = asyncio.ensure_future(call)
        ending = asyncio.ensure_future(self._engine.wait())
        try:
            await asyncio.wait((asking, ending), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise self._failed(diagnosis.diagnose(self._log.tail(), self._engine.exit_status).failure)
            return asking.result()
        finally:
            for task in (asking, ending):
                task.cancel()
            await asyncio.gather(asking, ending, return_exceptions=True)

    async def _watch_engine(self) -> None:
        status = await self._engine.wait()
        if self._stopping:
            return
        failure = self._record(diagnosis.diagnose(self._log.tail(), status).failure)
        await self._reporter.flush()
        self._on_death(failure)

    async def _drained(self, grace: float) -> None:
        limit = time.monotonic() + grace
        async with EngineProbe(self.place) as probe:
            while time.monotonic() < limit and self._engine.running:
                if not await probe.running_requests():
                    return
                await asyncio.sleep(_POLL)

    async def _clean_up(self, *, remove_report: bool) -> None:
        self._stopping = True
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._process is not None and self._process.running:
            await self._process.stop(STOP_GRACE if self._watch is not None else 0)
        if self._weights is not None:
            self._weights.release()
            self._weights = None
        await self._reporter.close(remove=remove_report)

    @property
    def _engine(self) -> EngineProcess:
        if self._process is None:
            raise RuntimeError("the engine has not been started")
        return self._process

    def _failed(self, failure: Failure) -> EngineError:
        self._record(failure)
        log = "".join(f"\n  {line}" for line in failure.log_tail)
        where = f"\nThe whole log: {self._log.path}" if self._log.path else ""
        return EngineError(f"{failure.cause}\nThe end of the engine's log:{log}{where}", remedy=failure.remedy)

    def _record(self, failure: Failure) -> Failure:
        self.failure = failure
        self._reporter.fail(failure)
        return failure

    def _look_for_loading(self, line: str) -> None:
        if self.report.phase is Phase.STARTING and _LOADING.search(line):
            self._reporter.enter(Phase.LOADING)


class _NotStartedError(Exception):
    """`cause` where we know it; None where the engine ended by itself."""

    def __init__(self, cause: str | None) -> None:
        super().__init__(cause)
        self.cause = cause


def free_port(host: str) -> int:
    """A port that was free a moment ago. Another process may take it first, which the caller must bear."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def _progress_text(progress: Progress) -> str:
    done = format_bytes(progress.done)
    return f"{done} of {format_bytes(progress.total)}" if progress.total else done


def _throttled(
    loop: asyncio.AbstractEventLoop, call: Callable[[Progress], None], *, every: float = 1.0
) -> Callable[[Progress], None]:
    """`call` on the loop, from any thread, at most once per `every` seconds."""
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= every:
            last = now
            with contextlib.suppress(RuntimeError):  # the loop is closing
                loop.call_soon_threadsafe(call, progress)

    return report
