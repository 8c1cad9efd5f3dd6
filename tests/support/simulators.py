"""The simulator without sockets: its ASGI app called from a test. For what needs a process, see `support.engines`."""

from __future__ import annotations

from typing import Any

import httpx

from penstock.config.simulator import SimulatorOptions
from penstock.simulator.app import App
from penstock.simulator.generation import Engine


def simulator(*, token: str | None = None, names: list[str] | None = None, **options: Any) -> tuple[Engine, App]:
    """An engine that is as fast as it can be unless `options` say otherwise, and its app."""
    quick = {"time_to_first_token": 0, "tokens_per_second": 0, **options}
    engine = Engine(names or ["demo"], "made-up", SimulatorOptions.of(quick))
    return engine, App(engine, token=token)


def client_of(app: App) -> httpx.AsyncClient:
    """A client that calls the app directly. Streams arrive whole."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://simulator")
