"""The simulator as a process with sockets: streams, hang-ups, faults, starting and stopping."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

from penstock.in_flight import OPEN, UNANSWERED
from support.engines import SimulatorServer

pytestmark = pytest.mark.integration

SAID = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
Start = Callable[..., SimulatorServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[SimulatorServer] = []

    def _start(options: dict[str, Any] | None = None, *, healthy: bool = True, **more: Any) -> SimulatorServer:
        server = SimulatorServer(options, log=tmp_path / f"{len(started)}.log", **more)
        started.append(server)
        server.start()
        if healthy:
            server.wait_until_healthy()
        return server

    yield _start
    for server in started:
        server.stop()


def gauge(server: SimulatorServer, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    line = next(line for line in text.splitlines() if line.startswith(f"vllm:{name}{{"))
    return float(line.split()[-1])


def wait_for(condition: Callable[[], bool], *, limit: float = 90) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


def test_the_openai_sdk_streams_from_it(start: Start):
    server = start()
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": "hello"}],
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        assert chunks[-1].usage.completion_tokens == 20
        assert len("".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]).split()) == 20
        assert len(client.embeddings.create(model="demo", input="hello").data[0].embedding) == 384
        with client.responses.stream(model="demo", input="hello") as responded:
            assert responded.get_final_response().output_text
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "hello"}])
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="demo", messages=[])


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_frees_its_place(start: Start, stream: bool):
    server = start({"tokens_per_second": 10})
    async with httpx.AsyncClient(base_url=server.url, timeout=None) as client:
        asked = asyncio.ensure_future(
            client.post("/v1/chat/completions", json={**SAID, "max_tokens": 5000, "stream": stream})
        )
        await asyncio.to_thread(wait_for, lambda: gauge(server, "num_requests_running") == 1)
        asked.cancel()
        await asyncio.to_thread(wait_for, lambda: gauge(server, "num_requests_running") == 0)
        text = (await client.get("/metrics")).text
    assert 'vllm:request_success_total{engine="0",finished_reason="abort",model_name="demo"} 1.0' in text


async def test_a_client_that_hangs_up_while_queued_leaves_the_queue(start: Start):
    server = start({"tokens_per_second": 10, "max_num_seqs": 1})
    async with httpx.AsyncClient(base_url=server.url, timeout=None) as client:
        body = {**SAID, "max_tokens": 5000, "stream": True}
        asked = [asyncio.ensure_future(client.post("/v1/chat/completions", json=body)) for _ in range(2)]
        await asyncio.to_thread(wait_for, lambda: gauge(server, "num_requests_waiting") == 1)
        for task in asked:
            task.cancel()
        await asyncio.to_thread(wait_for, lambda: httpx.get(f"{server.url}/load").json() == {"server_load": 0})


def test_it_crashes_after_as_many_requests_as_asked(start: Start):
    server = start({"crash_after": 2})
    for _ in range(2):
        assert httpx.post(f"{server.url}/v1/chat/completions", json=SAID).status_code == 200
    # Closed or reset, depending on how much of the request was read.
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.post(f"{server.url}/v1/chat/completions", json=SAID)
    assert server.process is not None
    assert server.process.wait(90) == 70
    assert "simulated crash" in server.log_end()


def test_it_hangs_after_as_many_requests_as_asked_and_stays_healthy(start: Start):
    server = start({"hang_after": 1})
    assert httpx.post(f"{server.url}/v1/chat/completions", json=SAID).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/chat/completions", json=SAID, timeout=0.5)
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_it_counts_the_requests_that_it_never_answers(start: Start):
    server = start({"hang_after": 0})

    def counts() -> tuple[str, str]:
        headers = httpx.get(f"{server.url}/metrics").headers
        return headers[OPEN], headers[UNANSWERED]

    assert counts() == ("0", "0")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=SAID, timeout=600)
        wait_for(lambda: counts() == ("1", "1"))
        # Its gauges know of none: that is what makes such an engine hard to find.
        assert gauge(server, "num_requests_running") == 0
        assert server.process is not None
        server.process.kill()
        with pytest.raises(httpx.TransportError):
            asked.result()


def test_it_falls_silent_after_as_many_requests_as_asked(start: Start):
    server = start({"silent_after": 1})
    assert httpx.post(f"{server.url}/v1/chat/completions", json=SAID).status_code == 200
    for path, method in (("/v1/chat/completions", "POST"), ("/health", "GET"), ("/metrics", "GET")):
        with pytest.raises(httpx.ReadTimeout):
            httpx.request(method, f"{server.url}{path}", json=SAID if method == "POST" else None, timeout=0.5)


def test_nobody_is_let_in_before_it_is_ready(start: Start):
    began = time.monotonic()
    server = start({"startup": 1.5}, healthy=False)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")
    server.wait_until_healthy()
    assert time.monotonic() - began >= 1.5
    assert "Loading no weights" in server.log_end()


def test_a_stop_while_starting_ends_with_0(start: Start):
    server = start({"startup": 60}, healthy=False)
    wait_for(lambda: "Initializing" in server.log_end())
    assert server.stop() == 0


async def test_a_stop_lets_streams_finish_within_its_limit(start: Start):
    server = start({"tokens_per_second": 20}, arguments=["--shutdown-timeout", "60"])
    async with httpx.AsyncClient(base_url=server.url, timeout=None) as client:
        body = {**SAID, "max_tokens": 20, "stream": True}
        assert server.process is not None
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            server.process.send_signal(signal.SIGTERM)
            rest = [line async for line in lines]
        assert rest[-2:] == ["data: [DONE]", ""]
    assert await asyncio.to_thread(server.process.wait, 90) == 0


async def test_a_stop_cuts_streams_that_go_on_past_its_limit(start: Start):
    server = start({"tokens_per_second": 2}, arguments=["--shutdown-timeout", "1"])
    async with httpx.AsyncClient(base_url=server.url, timeout=None) as client:
        body = {**SAID, "max_tokens": 1000, "stream": True}
        asked = asyncio.ensure_future(client.post("/v1/chat/completions", json=body))
        await asyncio.to_thread(wait_for, lambda: gauge(server, "num_requests_running") == 1)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            await asked
    assert await asyncio.to_thread(server.process.wait, 90) == 0
    assert "Traceback" not in server.log_end()


def test_the_token_comes_from_the_environment(start: Start):
    server = start(environment={"PENSTOCK_ENGINE_TOKEN": "secret"})
    assert httpx.get(f"{server.url}/v1/models").status_code == 401
    assert httpx.get(f"{server.url}/v1/models", headers={"authorization": "Bearer secret"}).status_code == 200


def test_a_port_that_is_taken_is_named(start: Start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = start(port=port, healthy=False)
        assert server.process is not None
        assert server.process.wait(90) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in server.log_end()


def test_a_test_run_that_is_killed_leaves_no_server(tmp_path: Path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from support.engines import SimulatorServer; server = SimulatorServer(log=Path(sys.argv[2]));"
        "server.start(); server.wait_until_healthy(); print(server.pid, flush=True); sys.stdin.read()"
    )
    tests = str(Path(__file__).parents[1])
    run = subprocess.Popen(
        [sys.executable, "-c", script, tests, str(tmp_path / "log")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert run.stdin is not None
    assert run.stdout is not None
    with run.stdin, run.stdout:
        server = psutil.Process(int(run.stdout.readline()))
        run.kill()
        run.wait(90)
        server.wait(90)
