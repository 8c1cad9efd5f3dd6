"""A server of streamed chats for tests of `penstock chat`: what it answers is scripted, what it was asked is kept.

with chat_server() as server:
    server.script = [event("Par"), event("is."), DONE]
    ... server.url, server.asked
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support.quiet_server import QuietHandler, QuietServer, served

DONE = b"data: [DONE]\n\n"
UNTIL_HUNG_UP = b"until hung up"
"""Stands in a script for comments that are sent until the client is gone."""
CUT = b"cut"
"""Stands in a script for a connection that ends in the middle."""
_LIMIT = 120.0


def event(text: str = "", *, finish: str | None = None, **delta: str) -> bytes:
    """An event of a stream that carries a part of an answer."""
    choice = {"index": 0, "delta": {**({"content": text} if text else {}), **delta}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def error(message: str) -> bytes:
    """An event that ends a stream in an error."""
    return b"data: " + json.dumps({"error": {"message": message, "type": "server_error"}}).encode() + b"\n\n"


def refusal(message: str) -> bytes:
    """A body that refuses a request."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": None}}).encode()


@dataclass
class ChatServer:
    """What it answers, and what it was asked. `hung_up` is set once a client went away while it was answered."""

    models: list[str] = field(default_factory=lambda: ["demo"])
    script: list[bytes] = field(default_factory=list)
    refuses: tuple[int, bytes] | None = None
    content_type: str = "text/event-stream"
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""


class _Server(QuietServer):
    chat: ChatServer


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        chat = self.server.chat
        chat.keys.append(self.headers.get("authorization"))
        body = json.dumps({"object": "list", "data": [{"id": name} for name in chat.models]}).encode()
        self._whole(*(chat.refuses or (200 if self.path == "/v1/models" else 404, body)))

    def do_POST(self) -> None:
        chat = self.server.chat
        chat.keys.append(self.headers.get("authorization"))
        chat.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if chat.refuses is not None:
            self._whole(*chat.refuses)
            return
        self.send_response(200)
        self.send_header("content-type", chat.content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for step in chat.script:
                if step == CUT:
                    self.close_connection = True
                    return
                self._do(step)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            chat.hung_up.set()
            self.close_connection = True

    def _do(self, step: bytes) -> None:
        limit = time.monotonic() + _LIMIT
        while step == UNTIL_HUNG_UP and not self.server.chat.closing.is_set() and time.monotonic() < limit:
            self._chunk(b": still there\n\n")
            time.sleep(0.02)
        if step != UNTIL_HUNG_UP:
            self._chunk(step)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def chat_server() -> Iterator[ChatServer]:
    """On a free port of 127.0.0.1; gone without a trace afterwards."""
    chat = ChatServer()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.chat = chat
    with served(server) as chat.url:
        try:
            yield chat
        finally:
            chat.closing.set()
