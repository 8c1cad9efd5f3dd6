"""The watchdog with real processes: what hangs is found and ended with its reason, what waits or works is not."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from penstock.board import Phase
from penstock.config import Model
from penstock.engine import probe
from penstock.engine import replica as replicas
from penstock.engine.command import Command, Place
from support.replicas import Bench, serving, simulator, until

pytestmark = pytest.mark.integration

LIMIT = 240.0
"""A busy machine may look rarely."""
FROZEN = """
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GAUGES = b'vllm:num_requests_running{{engine="0"}} {gauge}\\nvllm:generation_tokens_total{{engine="0"}} 7.0\\n'

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        known = {{"/health": b"", "/metrics": GAUGES, "/v1/models": b'{{"data":[]}}'}}
        self.send_response(200 if self.path in known else 404)
        self.end_headers()
        self.wfile.write(known.get(self.path, b""))

    def log_message(self, *_):
        pass

{also}
ThreadingHTTPServer(("{host}", {port}), Handler).serve_forever()
"""


def _watched(stall: str = "1s", **options: Any) -> Model:
    # The warm-up is a request too: faults that are due after one strike the first client.
    return simulator(model={"watchdog": {"stall": stall}}, **options)


def _frozen(monkeypatch: pytest.MonkeyPatch, *also: str, gauge: str = "1.0") -> None:
    """In the engine's place, one whose streams stand still: its server answers, its gauges show a request for ever."""

    def command(*_: Any, place: Place, **__: Any) -> Command:
        script = FROZEN.format(host=place.host, port=place.port, also="; ".join(also) or "pass", gauge=gauge)
        return Command([sys.executable, "-S", "-c", script], {})

    monkeypatch.setattr(replicas, "engine_command", command)


@contextlib.asynccontextmanager
async def _asking(bench: Bench, requests: int = 1, **more: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    headers = {"authorization": f"Bearer {bench.replica.place.token}"}
    body = {"model": "sim", "stream": True, "messages": [{"role": "user", "content": "x"}], **more}
    async with aiohttp.ClientSession(bench.replica.place.base_url, headers=headers) as session:

        async def ask() -> bytes:
            async with session.post("/v1/chat/completions", json=body) as answer:
                return await answer.read()

        tasks = [asyncio.ensure_future(ask()) for _ in range(requests)]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_engine_that_accepts_and_never_answers_is_ended_with_its_reason() -> None:
    async with serving(_watched(hang_after=1)) as bench:
        engine = bench.engine()
        async with _asking(bench, requests=2) as asked:
            await until(lambda: bench.deaths, LIMIT)
            (failure,) = bench.deaths
            assert re.match(r"The engine had \d requests? and made no progress for ", failure.cause)
            assert "watchdog.stall" in (failure.remedy or "")
            assert bench.replica.failure == failure
            assert not engine.is_running()
            await asyncio.wait(asked)
            assert all(task.exception() is not None for task in asked)
        (report,) = bench.board.reports()
        assert (report.phase, report.failure) == (Phase.FAILED, failure)


async def test_an_engine_that_answers_nothing_at_all_is_ended_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_REQUEST_LIMIT", aiohttp.ClientTimeout(total=0.3))
    async with serving(_watched(silent_after=1)) as bench, _asking(bench):
        await until(lambda: bench.deaths, LIMIT)
        assert bench.deaths[0].cause.startswith("The engine's HTTP server answered nothing for ")


async def test_an_engine_that_was_halted_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_REQUEST_LIMIT", aiohttp.ClientTimeout(total=0.3))
    async with serving(_watched()) as bench:
        bench.engine().send_signal(signal.SIGSTOP)
        await until(lambda: bench.deaths, LIMIT)
        assert "answered nothing" in bench.deaths[0].cause


async def test_an_engine_that_stopped_in_the_middle_of_its_streams_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    _frozen(monkeypatch)
    async with serving(_watched()) as bench:
        await until(lambda: bench.deaths, LIMIT)
        assert bench.deaths[0].cause.startswith("The engine had 1 request and made no progress for ")


async def test_an_engine_that_computes_for_ever_is_ended_after_the_longest_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _frozen(monkeypatch, "threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()")
    async with serving(_watched()) as bench:
        bench.replica.longest_request = 1.0
        await until(lambda: bench.deaths, LIMIT)
        assert bench.deaths[0].cause.startswith("The engine was busy with 1 request for ")


async def test_a_stopping_replica_does_not_wait_for_an_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    _frozen(monkeypatch)
    # Long enough for the stop to begin first.
    async with serving(_watched("3s")) as bench:
        engine = bench.engine()
        await asyncio.wait_for(bench.replica.stop(3600), LIMIT)
        assert not engine.is_running()
        assert bench.board.reports() == []


async def test_neither_an_idle_engine_nor_one_with_a_slow_stream_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_REQUEST_LIMIT", aiohttp.ClientTimeout(total=LIMIT))
    # A look every sixth of the stall: a stream that outlives the stall several times over shows that none was taken
    # amiss, and that an engine without requests was not either.
    model = _watched("500ms", time_to_first_token="1ms", tokens_per_second=20)
    async with serving(model) as bench:
        for _ in range(2):
            async with _asking(bench, max_tokens=60) as (asked,):
                assert (await asked).rstrip().endswith(b"[DONE]")
        assert bench.deaths == []
        assert bench.replica.failure is None


async def test_an_engine_whose_numbers_nobody_understands_is_left_alone_and_its_crash_is_noticed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _frozen(monkeypatch, gauge="many")
    async with serving(_watched("100ms")) as bench:
        await until(lambda: caplog.text.count("the engine could not be looked at") > 10, LIMIT)
        assert bench.deaths == []
        bench.engine().kill()
        await until(lambda: bench.deaths)
        assert "SIGKILL" in bench.deaths[0].cause


async def test_a_watchdog_that_is_off_ends_nothing() -> None:
    model = simulator(model={"watchdog": {"enabled": False, "stall": "100ms"}}, hang_after=1)
    async with serving(model) as bench, _asking(bench) as (asked,):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asked), 2)
        assert bench.deaths == []
        bench.engine().kill()
        await until(lambda: bench.deaths)
        assert "SIGKILL" in bench.deaths[0].cause
