"""The replica without Ray, with the simulator as its engine: phases, failures, deaths, draining."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from penstock.board import Phase
from penstock.config import Model
from penstock.engine import command as engine_commands
from penstock.engine import replica as replicas
from penstock.engine.command import Command
from penstock.errors import EngineError, WeightsError
from support.replicas import Bench, serving, simulator, until

pytestmark = pytest.mark.integration


def _script(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Another program in the engine's place, for deaths that the simulator does not die."""
    made = Command([sys.executable, "-S", "-c", script], {})
    monkeypatch.setattr(replicas, "engine_command", lambda *_, **__: made)


async def test_a_start_goes_through_its_phases_and_ends_ready() -> None:
    async with serving(simulator()) as bench:
        await bench.replica._reporter.flush()
        assert bench.phases[0] is Phase.STARTING
        assert bench.phases[-2:] == [Phase.WARMING, Phase.READY]
        report = bench.replica.report
        assert report.max_model_len == 8192
        assert "/v1/chat/completions" in report.endpoints
        assert report.engine_pids
        assert bench.replica.failure is None
    assert bench.board.reports() == []


async def test_the_engine_answers_with_the_replicas_token_only() -> None:
    async with serving(simulator()) as bench, aiohttp.ClientSession(bench.replica.place.base_url) as session:
        headers = {"authorization": f"Bearer {bench.replica.place.token}"}
        async with session.get("/v1/models", headers=headers) as answer:
            assert answer.status == 200
        async with session.get("/v1/models") as answer:
            assert answer.status == 401


async def test_a_killed_engine_is_reported_at_once() -> None:
    async with serving(simulator()) as bench:
        bench.engine().send_signal(signal.SIGKILL)
        await until(lambda: bench.deaths)
        assert "SIGKILL" in bench.deaths[0].cause
        assert bench.replica.failure == bench.deaths[0]
        (report,) = bench.board.reports()
        assert report.phase is Phase.FAILED
        assert report.failure == bench.deaths[0]
        assert await bench.replica.running_requests() is None
    assert bench.board.reports()[0].phase is Phase.FAILED


async def test_a_stop_waits_for_a_running_stream() -> None:
    model = simulator(tokens_per_second=40, output_tokens=60, time_to_first_token="1ms")
    async with serving(model) as bench, aiohttp.ClientSession(bench.replica.place.base_url) as session:
        headers = {"authorization": f"Bearer {bench.replica.place.token}"}
        body = {"model": "sim", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        async with session.post("/v1/chat/completions", json=body, headers=headers) as answer:
            await answer.content.readline()
            stopping = asyncio.create_task(bench.replica.stop(30))
            await until(lambda: bench.replica.report.phase is Phase.DRAINING)
            rest = await answer.read()
        await stopping
    assert rest.rstrip().endswith(b"data: [DONE]")


async def test_a_stop_waits_no_longer_than_its_grace() -> None:
    model = simulator(tokens_per_second=1, output_tokens=1000)
    async with serving(model) as bench, aiohttp.ClientSession(bench.replica.place.base_url) as session:
        headers = {"authorization": f"Bearer {bench.replica.place.token}"}
        body = {"model": "sim", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        async with session.post("/v1/chat/completions", json=body, headers=headers) as answer:
            await answer.content.readline()
            began = time.monotonic()
            await bench.replica.stop(0.3)
            assert time.monotonic() - began < replicas.STOP_GRACE + 60


async def test_a_stop_while_it_starts_ends_the_start() -> None:
    bench = Bench(simulator(startup="10m"))
    starting = asyncio.create_task(bench.replica.start())
    await until(lambda: bench.replica.report.phase in (Phase.STARTING, Phase.LOADING) and bench.log.tail())
    await bench.replica.stop(30)
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert bench.board.reports() == []


async def test_a_cancelled_start_leaves_nothing() -> None:
    bench = Bench(simulator(startup="10m"))
    starting = asyncio.create_task(bench.replica.start())
    await until(bench.log.tail)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert bench.board.reports() == []


async def test_an_engine_that_dies_while_starting_tells_why(monkeypatch: pytest.MonkeyPatch) -> None:
    _script(monkeypatch, "import sys; print('api_server.py: error: unrecognized arguments: --nope'); sys.exit(2)")
    bench = Bench(simulator())
    with pytest.raises(EngineError) as caught:
        await bench.replica.start()
    assert "--nope" in caught.value.message
    assert "The end of the engine's log:" in caught.value.message
    (report,) = bench.board.reports()
    assert report.failure is not None
    assert "--nope" in report.failure.cause


async def test_an_engine_that_makes_no_progress_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    _script(monkeypatch, "import time; print('hello', flush=True); time.sleep(600)")
    bench = Bench(Model.model_validate({"engine": "simulator", "startup": {"stall": "1s"}}))
    with pytest.raises(EngineError, match="made no progress for 1s"):
        await bench.replica.start()


async def test_an_engine_that_spins_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    _script(monkeypatch, "while True: pass")
    bench = Bench(Model.model_validate({"engine": "simulator", "startup": {"stall": "1m", "limit": "2s"}}))
    with pytest.raises(EngineError, match="not ready after 2s"):
        await bench.replica.start()


async def test_a_taken_port_is_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine_commands.engine_command
    calls: list[int] = []

    def first_fails(*arguments: Any, place: Any, **more: Any) -> Command:
        calls.append(place.port)
        if len(calls) == 1:
            return Command([sys.executable, "-S", "-c", "raise OSError(98, 'Address already in use')"], {})
        return made(*arguments, place=place, **more)

    monkeypatch.setattr(replicas, "engine_command", first_fails)
    async with serving(simulator()) as bench:
        assert len(set(calls)) == 2
        assert bench.replica.failure is None


async def test_weights_that_cannot_be_had_are_the_reason(tmp_path: Path) -> None:
    bench = Bench(Model(source=str(tmp_path)))
    with pytest.raises(WeightsError):
        await bench.replica.start()
    (report,) = bench.board.reports()
    assert report.phase is Phase.FAILED
    assert report.failure is not None
    assert "config.json" in report.failure.cause


async def test_progress_of_a_download_is_readable_and_a_stop_cancels_it(tmp_path: Path) -> None:
    from penstock.engine.weights import Progress

    cancelled_seen: list[bool] = []

    def slow_fetch(source: Any, settings: Any, *, report: Any, cancelled: Callable[[], bool]) -> Any:
        while not cancelled():
            report(Progress(done=2**30, total=4 * 2**30, file="model.safetensors"))
            time.sleep(0.01)
        cancelled_seen.append(True)
        raise WeightsError("cancelled")

    bench = Bench(Model(source=str(tmp_path)), fetch_weights=slow_fetch)
    starting = asyncio.create_task(bench.replica.start())
    await until(lambda: bench.replica.report.detail == "1.0 GiB of 4.0 GiB")
    assert bench.replica.report.phase is Phase.FETCHING
    await bench.replica.stop(30)
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert cancelled_seen == [True]
