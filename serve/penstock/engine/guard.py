"""Keeps strangers out of an engine: a middleware that vLLM loads by its path (`--middleware`).

vLLM's own `--api-key` guards some prefixes and leaves `/tokenize`, `/invocations` and others open. This guards
everything but what tells of health and load, which probes and Prometheus read.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from penstock.environment import engine_token

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/health", "/metrics", "/load", "/version"})
_REFUSAL = (
    b'{"error":{"message":"This engine takes requests from its Penstock gateway only: the engine\'s token is missing or'
    b' wrong.","type":"authentication_error","param":null,"code":"invalid_engine_token"}}'
)


class TokenGuard:
    """Lets a request through that carries `Authorization: Bearer <token>`; 401 for any other.

    Without a token in the environment nothing passes: an engine that was started wrongly is closed, not open.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        token = engine_token()
        self._expected = hashlib.sha256(f"Bearer {token}".encode()).digest() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self._app(scope, receive, send)
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

    def _may_pass(self, scope: Scope) -> bool:
        if scope["path"] in OPEN_PATHS and scope.get("method") in ("GET", "HEAD"):
            return True
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        # Digests have one length, so the comparison tells nothing about the token's.
        return self._expected is not None and hmac.compare_digest(hashlib.sha256(given).digest(), self._expected)
