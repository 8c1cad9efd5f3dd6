"""What dialects have in common: the request behind the request, and the answer before the answer. Used by each of them.

A dialect hands the gateway another request of ASGI, and takes the gateway's messages where the client's would go. What
is wrong with a request is raised where the gateway reads its body, so that errors are counted and logged in one place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from penstock.gateway import bodies
from penstock.gateway.call import Call, ClientGoneError, Message, Receive, Scope, Send
from penstock.gateway.catalog import Catalog
from penstock.gateway.dialects.errors import translated
from penstock.gateway.dialects.paths import Foreign
from penstock.gateway.errors import GatewayError
from penstock.gateway.headers import Header, first

JSON = b"application/json"
EVENTS = b"text/event-stream"

_BROKEN = {
    "message": "The engine broke off in the middle of its answer. Send the request again.",
    "type": "server_error",
    "param": None,
    "code": "engine_failed",
}


class Gateway(Protocol):
    """What dialects need of the gateway."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def limits_of_bodies(self) -> tuple[int, int]:
        """Bytes of a body at most, and how deep its JSON may nest."""

    async def admit(self, call: Call) -> None:
        """Raises GatewayError where the request's key would be refused."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the ASGI application does, for the gateway's own paths."""


class Translator(Protocol):
    """Makes the dialect's answer of the gateway's. One for each request."""

    content_type: bytes
    """Of a stream."""

    def whole(self, document: Any) -> Any:
        """The body of a good answer, parsed."""

    def feed(self, chunk: bytes) -> bytes:
        """What the client gets of a part of a stream, perhaps nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the gateway is asked in place of what the client asked."""

    path: str
    translator: Translator | None = None
    """None where good answers pass as they are."""
    method: str = "POST"
    body: bytes = b""
    raw_path: bytes | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One request of a dialect, as ASGI has it, and the gateway behind it."""

    gateway: Gateway
    dialect: Foreign
    scope: Scope
    receive: Receive
    send: Send

    @property
    def path(self) -> str:
        """Without trailing slashes."""
        return str(self.scope["path"]).rstrip("/")

    @property
    def raw_path(self) -> bytes:
        """As the client wrote it."""
        return bytes(self.scope.get("raw_path") or self.path.encode("utf-8", "surrogateescape"))

    async def refuse(self) -> None:
        """There is no such path: have the gateway say so, and which there are."""
        await self.gateway.answer(self.scope, self.receive, self.send)

    async def forward(self, plan: Plan) -> None:
        """Have the gateway answer a plan; the client's body, if it has one, passes as it is."""
        inner = {
            **self.scope,
            "path": plan.path,
            "raw_path": plan.raw_path or plan.path.encode(),
            "query_string": _without_version(self.scope.get("query_string", b"")),
        }
        if plan.method != "POST" and self.scope["method"] == "POST":
            inner["method"] = plan.method
        if plan.translator is not None:
            # Else answers would go around `send`, and with it around the translator.
            inner["extensions"] = {}
        sender = _Sender(self.dialect, self.send, plan.translator)
        await self.gateway.answer(inner, self.receive, sender)
        await sender.end()

    async def translate(self, make: Callable[[dict[str, Any], bytes], Plan], *, usual: str) -> None:
        """Read the client's body, and have the gateway answer the plan that is made of it.

        Args:
            make: a plan of a body, which is given parsed and in bytes; raises GatewayError.
            usual: the path that is asked where none can be made, so that it is said why; and for other methods.
        """
        if self.scope["method"] != "POST":
            await self.forward(Plan(usual))
            return
        plan, read = await self._made(make, usual)
        # Clients of these APIs send JSON under any name; `curl -d` says that it is a form.
        lines = [line for line in self.scope["headers"] if line[0] not in (b"content-type", b"content-length")]
        await replace(self, scope={**self.scope, "headers": [*lines, (b"content-type", JSON)]}, receive=read).forward(
            plan
        )

    async def _made(self, make: Callable[[dict[str, Any], bytes], Plan], usual: str) -> tuple[Plan, Receive]:
        call = Call(self.scope, self.receive, _nowhere)
        problem: GatewayError | ClientGoneError | None = None
        plan = Plan(usual)
        largest, deepest = self.gateway.limits_of_bodies
        try:
            # Nobody's body is held in memory before it is known who sends it.
            await self.gateway.admit(call)
            body = await call.read_body(largest)
            plan = make(bodies.parsed(body, deepest), body)
        except (GatewayError, ClientGoneError) as error:
            problem = error
        taken = False

        async def read() -> Message:
            nonlocal taken
            if taken:
                return await self.receive()
            taken = True
            if problem is not None:
                raise problem
            return {"type": "http.request", "body": plan.body, "more_body": False}

        return plan, read


class _Sender:
    """`send` of ASGI for the gateway.

    Args:
        send: the client's.
    """

    def __init__(self, dialect: Foreign, send: Send, translator: Translator | None) -> None:
        self._dialect = dialect
        self._send = send
        self._translator = translator
        self._status = 0
        self._headers: list[Header] = []
        self._parts: list[bytes] = []
        self._take: Callable[[bytes, bool], Awaitable[None]] = self._pass
        self._complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message["headers"]
            await self._start(message)
            return
        more = message.get("more_body", False)
        self._complete = not more
        await self._take(message.get("body", b""), more)

    async def _start(self, message: Message) -> None:
        kind = first(self._headers, b"content-type") or b""
        if self._status >= 400 or (self._translator is not None and kind.startswith(JSON)):
            self._take = self._gather
        elif self._translator is not None and kind.startswith(EVENTS):
            self._take = self._stream
            await self._begin(self._translator.content_type)
        else:
            await self._send(message)

    async def _pass(self, body: bytes, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _stream(self, chunk: bytes, more: bool) -> None:
        assert self._translator is not None
        shown = self._translator.feed(chunk) if chunk else b""
        if shown or not more:
            await self._pass(shown, more)

    async def _gather(self, body: bytes, more: bool) -> None:
        self._parts.append(body)
        if not more:
            await self._whole(b"".join(self._parts))

    async def _whole(self, body: bytes) -> None:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            document = None
        if self._status >= 400:
            error = document.get("error") if isinstance(document, dict) else None
            made: Any = translated(self._dialect, self._status, error if isinstance(error, dict) else _BROKEN)
        else:
            assert self._translator is not None
            made = self._translator.whole(document)
        shown = orjson.dumps(made)
        await self._begin(JSON, len(shown))
        await self._pass(shown, False)

    async def _begin(self, content_type: bytes, length: int | None = None) -> None:
        lines = [line for line in self._headers if line[0] not in (b"content-type", b"content-length")]
        lines.append((b"content-type", content_type))
        if length is not None:
            lines.append((b"content-length", b"%d" % length))
        await self._send({"type": "http.response.start", "status": self._status, "headers": lines})

    async def end(self) -> None:
        """The gateway has said all that it says. Where it broke off and the client has nothing yet, that is an error
        like any other."""
        if self._status and not self._complete and self._take == self._gather:
            self._status = 502
            self._parts = [orjson.dumps({"error": _BROKEN})]
            await self._gather(b"", more=False)


async def _nowhere(_: Message) -> None:
    """Nothing is sent from here."""


def _without_version(query: bytes) -> bytes:
    if b"api-version" not in query.lower():
        return query
    return b"&".join(part for part in query.split(b"&") if not part.lower().startswith(b"api-version="))
