"""A small HTTP server in threads for tests: answers are functions, files go out in ranges and with faults.

Used by the stand-ins for the hub and for Google Cloud Storage.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.quiet_server import QuietHandler, QuietServer, served

_PIECE = 64 * 1024


@dataclass
class Fault:
    """What goes wrong with the next `times` downloads of a file. `status`: answer so instead; `cut_after`: close the
    connection after so many bytes of the body; `pause_after`: stop there until `go_on` is set (`paused` is set
    meanwhile); `corrupt`: other bytes of the same length; `ignore_range`: always the whole file; `short_by`: claim and
    send so much less."""

    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    pause_after: int | None = None
    corrupt: bool = False
    ignore_range: bool = False
    short_by: int = 0
    paused: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Seen:
    """A request as it came in. Header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Exchange(QuietHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        site = self.server.site
        site.note(Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        try:
            site.answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815  # the base class's name

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, content: bytes, *, headers: Mapping[str, str], fault: Fault | None, name: str) -> None:
        """A file or its rest, as the request's Range says, and as the fault spoils it."""
        fault = fault or Fault()
        if fault.status is not None:
            self.reply(fault.status, b"no", fault.headers)
            return
        if fault.corrupt:
            content = bytes(byte ^ 0xFF for byte in content)
        if fault.short_by:
            content = content[: -fault.short_by]
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and not fault.ignore_range:
            start, status = int(asked[1]), 206
            if start >= len(content):
                self.reply(416, headers={"Content-Range": f"bytes */{len(content)}"})
                return
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(content[start:], fault, name)

    def _send_body(self, body: bytes, fault: Fault, name: str) -> None:
        stops = sorted(stop for stop in (fault.cut_after, fault.pause_after, len(body)) if stop is not None)
        sent = 0
        for stop in stops:
            while sent < min(stop, len(body)):
                piece = body[sent : min(sent + _PIECE, stop)]
                self.wfile.write(piece)
                sent += len(piece)
                self.server.site.count(name, len(piece))
            if stop == fault.cut_after:
                self.wfile.flush()
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if stop == fault.pause_after:
                self.wfile.flush()
                fault.paused.set()
                self.server.site.wait(fault.go_on)


class _Server(QuietServer):
    site: Site


class Site:
    """What a server answers, and what it saw: `seen` requests, `sent` bytes of bodies by file name."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.sent: dict[str, int] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.port = 0
        self._mutex = threading.Lock()
        self._closing = threading.Event()
        self._waiting: set[threading.Event] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def fail(self, name: str, **what: Any) -> Fault:
        """Spoil the next downloads of a file."""
        fault = Fault(**what)
        with self._mutex:
            self.faults.setdefault(name, []).append(fault)
        return fault

    def fault_for(self, name: str) -> Fault | None:
        """The fault that this download meets, used up by one."""
        with self._mutex:
            for fault in self.faults.get(name, []):
                if fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def note(self, request: Seen) -> None:
        with self._mutex:
            self.seen.append(request)

    def count(self, name: str, sent: int) -> None:
        with self._mutex:
            self.sent[name] = self.sent.get(name, 0) + sent

    def requests_for(self, part: str) -> list[Seen]:
        """Requests whose path has this in it."""
        with self._mutex:
            return [request for request in self.seen if part in request.path]

    def wait(self, event: threading.Event) -> None:
        """Wait for an event, or for the server's end."""
        with self._mutex:
            self._waiting.add(event)
        if not self._closing.is_set():
            event.wait(60)

    def close(self) -> None:
        self._closing.set()
        with self._mutex:
            for event in self._waiting:
                event.set()


@contextlib.contextmanager
def serving(site: Site, *, on_port: Callable[[int], None] = lambda _: None) -> Iterator[None]:
    """Serve a site on a free port of 127.0.0.1; gone without a trace afterwards."""
    server = _Server(("127.0.0.1", 0), Exchange)
    server.site = site
    site.port = server.server_address[1]
    on_port(site.port)
    with served(server):
        try:
            yield
        finally:
            site.close()
