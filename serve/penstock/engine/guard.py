"""Keeps strangers out of an engine: a middleware that vLLM loads by its path (`--middleware`).

vLLM's own `--api-key` guards some prefixes and leaves `/tokenize`, `/invocations` and others open. This guards
everything but what tells of health and load, which probes and Prometheus read. Being the outermost layer, it also
counts what is inside, for the replica's watchdog, and takes the gateway's word that a request is to be stopped.
"""

from __future__ import annotations

import hashlib
import hmac

from penstock import aborting
from penstock.environment import engine_token
from penstock.in_flight import App, InFlight, Receive, Scope, Send

OPEN_PATHS = frozenset({"/health", "/metrics", "/load", "/version"})
_REFUSAL = (
    b'{"error":{"message":"This engine takes requests from its Penstock gateway only: the engine\'s token is missing or'
    b' wrong.","type":"authentication_error","param":null,"code":"invalid_engine_token"}}'
)
_MOST_PROMPTS = 256
"""Prompts of one request that are found when it is to be stopped; each is a request of its own to the engine."""


class TokenGuard:
    """Lets a request through that carries `Authorization: Bearer <token>`; 401 for any other.

    Without a token in the environment nothing passes: an engine that was started wrongly is closed, not open.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        token = engine_token()
        self._in_flight = InFlight()
        self._expected = hashlib.sha256(f"Bearer {token}".encode()).digest() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["path"] in OPEN_PATHS and scope.get("method") in ("GET", "HEAD"):
            await self._app(scope, receive, self._in_flight.telling(send))
        elif self._has_token(scope) and scope["path"] == aborting.PATH:
            await _abort(scope, send)
        elif self._has_token(scope):
            await self._in_flight.follow(self._app, scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send(
                {
                    "type": "http.response.start",
                    "status": 401,
                    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_REFUSAL))],
                }
            )
            await send({"type": "http.response.body", "body": _REFUSAL})

    def _has_token(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        # Digests have one length, so the comparison tells nothing about the token's.
        return self._expected is not None and hmac.compare_digest(hashlib.sha256(given).digest(), self._expected)


def engine_ids(request_id: str) -> list[str]:
    """All names that a request may have in vLLM's engine, which are made of its `x-request-id` and its endpoint."""
    prompts = [f"cmpl-{request_id}-{number}" for number in range(_MOST_PROMPTS)]
    return [f"chatcmpl-{request_id}", f"resp_{request_id}_0", *prompts]


async def _abort(scope: Scope, send: Send) -> None:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    # Names that the engine does not know are passed over. The answers end by themselves then.
    await scope["app"].state.engine_client.abort(engine_ids(given.decode("latin-1")))
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
