"""The simulator's process: starting up as slowly as asked, serving, stopping within a limit. Called by `__main__`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Iterator

import uvicorn
import uvloop

from penstock import environment
from penstock.simulator.app import App
from penstock.simulator.arguments import Arguments
from penstock.simulator.generation import Engine

PHASES = (
    "Initializing the simulator",
    "Loading no weights",
    "Reserving no cache",
    "Warming up nothing",
)
"""What the log says while starting; spread over the time of starting."""

_logger = logging.getLogger("penstock.simulator")


class Server(uvicorn.Server):
    """uvicorn, with signals left to `run`: it would end by the signal, where vLLM ends with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(arguments: Arguments) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 0, or 1 where the address cannot be had."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(asctime)s %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    try:
        listener = _listener(arguments.host, arguments.port)
    except OSError as error:
        _logger.error("cannot listen on %s port %d: %s", arguments.host, arguments.port, error)  # noqa: TRY400
        return 1
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(arguments, listener))
    return 0


def _listener(host: str, port: int) -> socket.socket:
    """Bound, not yet listening: a client is refused until the engine is ready. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


async def _serve(arguments: Arguments, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if not await _start_up(arguments, stop):
        return
    engine = Engine(arguments.names, arguments.model, arguments.options)
    config = uvicorn.Config(
        App(engine, token=environment.engine_token()),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=4096,
        timeout_graceful_shutdown=arguments.shutdown_timeout,
    )
    server = Server(config)
    stopper = asyncio.create_task(_stop_when(stop, server, engine))
    await server.serve(sockets=[listener])
    stopper.cancel()
    _logger.info("Stopped")


async def _start_up(arguments: Arguments, stop: asyncio.Event) -> bool:
    """Take the time that was asked for, with a line per phase. Returns False when asked to stop meanwhile."""
    started = time.monotonic()
    for number, phase in enumerate(PHASES):
        _logger.info("%s", phase)
        due = started + arguments.options.startup * (number + 1) / len(PHASES)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), due - time.monotonic())
        if stop.is_set():
            return False
    _logger.info("Serving %s on %s port %d", ", ".join(arguments.names), arguments.host, arguments.port)
    return True


async def _stop_when(stop: asyncio.Event, server: Server, engine: Engine) -> None:
    await stop.wait()
    load = engine.metrics.load
    _logger.info("Stopping; %d requests may go on for %s s", load, server.config.timeout_graceful_shutdown)
    server.should_exit = True
