"""The ASGI app: routes, the guard, simulated faults, and the one place where errors become answers."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from penstock import aborting
from penstock.in_flight import InFlight
from penstock.simulator import (
    chat,
    completions,
    embeddings,
    faults,
    information,
    messages,
    responses,
    tokenizing,
)
from penstock.simulator.asgi import ClientGoneError, Exchange, Receive, Scope, Send
from penstock.simulator.errors import ApiError, SimulatedFailureError, UnauthorizedError
from penstock.simulator.generation import Engine

Route = Callable[[Engine, Exchange], Awaitable[None]]

OPEN_PATHS = frozenset({"/health", "/metrics", "/load", "/version"})
"""What may be asked without the token: what probes and scrapers need."""


async def _openapi(_: Engine, exchange: Exchange) -> None:
    paths: dict[str, Any] = {
        path: {method.lower(): {} for method in methods} for path, methods in ROUTES.items() if path != aborting.PATH
    }
    await exchange.json({"openapi": "3.1.0", "info": {"title": "Penstock simulator", "version": "1"}, "paths": paths})


async def _abort(engine: Engine, exchange: Exchange) -> None:
    engine.abort(exchange.request_id)
    await exchange.whole(b"", status=204)


_WORK: dict[str, Route] = {
    "/v1/chat/completions": chat.create,
    "/v1/completions": completions.create,
    "/v1/embeddings": embeddings.create,
    "/v1/responses": responses.create,
    "/v1/messages": messages.create,
}
"""Routes that cost an engine time, and that faults strike."""

ROUTES: dict[str, dict[str, Route]] = {
    "/health": {"GET": information.health},
    "/load": {"GET": information.load},
    "/metrics": {"GET": information.metrics},
    "/version": {"GET": information.version},
    "/openapi.json": {"GET": _openapi},
    "/v1/models": {"GET": information.models},
    "/v1/messages/count_tokens": {"POST": messages.count},
    "/tokenize": {"POST": tokenizing.tokenize},
    "/detokenize": {"POST": tokenizing.detokenize},
    aborting.PATH: {"POST": _abort},
    **{path: {"POST": route} for path, route in _WORK.items()},
}


class App:
    """The simulator over ASGI. With a `token`, every route but those of `OPEN_PATHS` needs it as bearer."""

    def __init__(self, engine: Engine, *, token: str | None = None) -> None:
        self._engine = engine
        self._expected = f"Bearer {token}".encode() if token else None
        self._faults = faults.Faults(engine.options)
        self._in_flight = InFlight()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"the simulator speaks HTTP, not {scope['type']}")
        if scope["path"] in OPEN_PATHS:
            await self._serve(scope, receive, self._in_flight.telling(send))
        else:
            await self._in_flight.follow(self._serve, scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        try:
            await self._answer(exchange, scope["path"], scope["method"])
        except ApiError as error:
            await exchange.json(error.body(), status=error.status)
        except ClientGoneError:
            pass

    async def _answer(self, exchange: Exchange, path: str, method: str) -> None:
        if self._expected and path not in OPEN_PATHS:
            self._check_token(exchange.header(b"authorization") or b"", self._expected)
        if self._faults.silent:
            await self._hang(exchange)
        methods = ROUTES.get(path)
        if methods is None:
            # In these two cases vLLM's answer is its web framework's.
            await exchange.json({"detail": "Not Found"}, status=404)
            return
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(methods).encode()
            await exchange.json({"detail": "Method Not Allowed"}, status=405, headers=[(b"allow", allowed)])
            return
        if path in _WORK:
            await self._strike(exchange)
        await route(self._engine, exchange)

    @staticmethod
    def _check_token(given: bytes, expected: bytes) -> None:
        if not secrets.compare_digest(given, expected):
            raise UnauthorizedError("This engine answers its own replica only: the bearer token is missing or wrong.")

    @staticmethod
    async def _hang(exchange: Exchange) -> NoReturn:
        await exchange.gone()
        raise ClientGoneError

    async def _strike(self, exchange: Exchange) -> None:
        match self._faults.next():
            case "crash":
                faults.crash()
            case "hang" | "silence":
                await self._hang(exchange)
            case "fail":
                # Answered behind the body, so that the connection stays usable.
                await exchange.body()
                raise SimulatedFailureError("Simulated failure: the option fail_rate asks for a share of these.")
            case "answer":
                return
