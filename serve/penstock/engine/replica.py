"""One replica of a model: fetch the weights, start the engine, wait until it can serve, watch it, stop it.

Knows neither Ray nor Serve: `deployment` is the thin class that Serve runs around it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import aiohttp

from penstock.board import Board, Failure, Phase, ReplicaReport
from penstock.config import parse_source
from penstock.config.units import format_duration
from penstock.engine import compiled, crash_loop, diagnosis
from penstock.engine.command import Command, Place, engine_command, overlaid
from penstock.engine.fetching import Fetch, HeldWeights, fetched
from penstock.engine.log import EngineLog
from penstock.engine.memory_kills import MemoryKills
from penstock.engine.probe import EngineProbe, Offer
from penstock.engine.process import EngineProcess
from penstock.engine.reporting import Reporter, old
from penstock.engine.spec import EngineSpec
from penstock.engine.starting import NotStartedError, until_healthy
from penstock.engine.watch import EngineWatch, WorkerLines
from penstock.engine.weights import fetch
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
        is_lost: Callable[[ReplicaReport], bool] = lambda _: False,
        fetch_weights: Fetch = fetch,
    ) -> None:
        """
        Args:
            on_death: called once when the engine ends after it was ready, or is ended because it is stuck, its report
                already on the board.
            is_lost: whether the process of another replica, which did not say that it failed, is known to be gone.
                Called on a thread.
        """
        self._spec = spec
        self._identity = identity
        self._log = log
        self._on_death = on_death
        self._is_lost = is_lost
        self._fetch = fetch_weights
        report = ReplicaReport(
            model=spec.name,
            replica=identity.replica,
            node=identity.node,
            pid=identity.pid,
            spec=crash_loop.digest(spec),
        )
        self._reporter = Reporter(board, report)
        self._token = secrets.token_urlsafe(32)
        self._place: Place | None = None
        self._process: EngineProcess | None = None
        self._weights: HeldWeights | None = None
        self._starting: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._memory_kills = MemoryKills()
        self._worker_lines = WorkerLines()
        self._stopping = False
        self.longest_request = 600.0
        """Seconds that a request may take. May change while it runs."""
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
        await self._back_off()
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

    async def _back_off(self) -> None:
        """Wait, where the replicas in whose place this one starts died again and again."""
        spec = self._spec
        others = await self._reporter.others()
        forgotten = old(others, now=time.time())
        before = await asyncio.to_thread(
            crash_loop.predecessor,
            [report for report in others if report.replica not in forgotten],
            model=spec.name,
            spec=self.report.spec,
            lost=self._is_lost,
        )
        if before is None:
            return
        failures = crash_loop.failures_in_a_row(before)
        self._reporter.say(follows=before.replica, failures_before=failures)
        if wait := crash_loop.remaining(failures, failed_at=before.updated, now=time.time()):
            cause = f": {before.failure.cause}" if before.failure else ""
            detail = f"{failures} failures in a row, so it waits {format_duration(round(wait, 1))}{cause}"
            self._reporter.enter(Phase.BACKING_OFF, detail=detail)
            await asyncio.sleep(wait)

    async def _fetch_weights(self) -> str | None:
        if self._spec.model.source is None:
            return None
        self._reporter.enter(Phase.FETCHING)
        source = parse_source(self._spec.model.source)
        self._weights = await fetched(
            self._fetch, source, self._spec.weights, lambda text: self._reporter.say(detail=text)
        )
        return str(self._weights.path)

    async def _start_engine(self, weights: str | None) -> diagnosis.Diagnosis | None:
        """Start it and wait until it is healthy; what went wrong, or None."""
        place = Place(self._identity.host, free_port(self._identity.host), self._token)
        command = engine_command(self._spec.name, self._spec.model, gpus=self._spec.gpus, weights=weights, place=place)
        self._memory_kills.mark()
        process = EngineProcess.start(
            command.arguments, await self._environment(command), self._log, on_line=self._look_at_line
        )
        self._process, self._place = process, place
        try:
            async with EngineProbe(place) as probe:
                await until_healthy(process, probe, self._log, self._spec.model.startup)
        except NotStartedError as error:
            status = process.exit_status
            await process.kill()
            found = self._diagnosed(status)
            cause = error.cause or found.failure.cause
            return found._replace(failure=found.failure.model_copy(update={"cause": cause}))
        return None

    async def _environment(self, command: Command) -> dict[str, str]:
        environment = overlaid(inherited(), command)
        if self._spec.model.engine == "simulator":
            return environment
        kept = await asyncio.to_thread(compiled.environment, self._spec.weights.cache, self._spec.model.hardware)
        return compiled.laid_under(kept, environment, named=command.environment)

    async def _warm_up(self) -> None:
        process = self._engine
        self._reporter.enter(Phase.WARMING, engine_pids=process.pids())
        try:
            async with EngineProbe(self.place) as probe:
                offer = await self._unless_it_ends(probe.offer())
                if self._spec.model.warm_up:
                    await self._unless_it_ends(probe.warm_up(self._spec.name, offer.endpoints))
        except (aiohttp.ClientError, TimeoutError) as error:
            found = self._diagnosed(process.exit_status)
            reason = str(error) or "it did not answer in time"
            cause = f"The engine is healthy but failed its first request: {reason}."
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
                raise self._failed(self._diagnosed(self._engine.exit_status).failure)
            return asking.result()
        finally:
            for task in (asking, ending):
                task.cancel()
            await asyncio.gather(asking, ending, return_exceptions=True)

    async def _watch_engine(self) -> None:
        """Wait until it ends, or until it is stuck and has to be ended."""
        ending = asyncio.ensure_future(self._engine.wait())
        sticking = asyncio.ensure_future(self._until_stuck())
        try:
            await asyncio.wait((ending, sticking), return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                failure = self._diagnosed(ending.result()).failure
            else:
                failure = diagnosis.stuck(self._log.tail(), sticking.result())
                logger.error(
                    "the engine is stuck", extra={"fields": {"model": self._spec.name, "cause": failure.cause}}
                )
        finally:
            for task in (ending, sticking):
                task.cancel()
            await asyncio.gather(ending, sticking, return_exceptions=True)
        if not self._stopping:
            self._record(failure)
            await self._reporter.flush()
        # A stuck engine ends in any case: a replica that stops would wait for its requests until the longest is over.
        await self._engine.kill()
        if not self._stopping:
            self._on_death(failure)

    async def _until_stuck(self) -> str:
        settings = self._spec.model.watchdog
        if not settings.enabled:
            await asyncio.Event().wait()
        watch = EngineWatch(
            self._engine,
            lambda: EngineProbe(self.place),
            self._worker_lines,
            stall=settings.stall,
            gpus=self._spec.gpus,
            longest_request=lambda: self.longest_request,
            on_look=self._memory_kills.mark,
        )
        return await watch.until_stuck()

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

    def _diagnosed(self, status: int | None) -> diagnosis.Diagnosis:
        return diagnosis.diagnose(self._log.tail(), status, memory_kill=self._memory_kills.found())

    def _look_at_line(self, line: str) -> None:
        self._worker_lines.add(line)
        if self.report.phase is Phase.STARTING and _LOADING.search(line):
            self._reporter.enter(Phase.LOADING)


def free_port(host: str) -> int:
    """A port that was free a moment ago. Another process may take it first, which the caller must bear."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port
