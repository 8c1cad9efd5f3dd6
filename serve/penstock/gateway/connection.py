"""One connection of a client: bytes to requests, and every limit on how slow or large they may be. Made by `listener`.

Time limits are kept by `check`, which the listener calls for all connections a few times a second: no timer is started
or stopped per request. What is wrong with the HTTP itself is answered here, in the same form as all other errors.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import httptools

from penstock import config
from penstock.gateway.answers import error_body, error_headers
from penstock.gateway.errors import BadRequestError, GatewayError, RequestTooSlowError, UnavailableError
from penstock.gateway.exchange import Application, Exchange
from penstock.gateway.heads import HeadReader, status_line

BUFFERED = 2**16
"""Bytes of a request's body that wait for the application before the connection stops reading."""

LINGER, LINGER_LONGEST = 3.0, 30.0
"""Seconds in which a client that was answered before it sent all of its body may go on sending, from its last bytes and
in all. Closing at once would reset the connection and take the answer away with it."""

QUIET = 1.0
"""Seconds after which a connection without a request is closed while the gateway drains. At once would meet requests
that are on their way: a client that asks one thing after the other is quiet for milliseconds."""

_HTTP2_PREFACE = b"PRI * HTTP/2"
_TLS_HELLO = b"\x16\x03"


class Host(Protocol):
    """What connections have in common."""

    app: Application
    settings: config.Gateway
    draining: bool
    date: bytes

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for one more."""

    def closed(self, connection: Connection) -> None: ...
    def run(self, exchange: Exchange) -> None: ...


class Connection(asyncio.Protocol):
    """See the module's text.

    Args:
        host: the listener's part.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._settings = host.settings
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anything else is called
        self._head = HeadReader(host.settings.max_header_bytes)
        self._parser: Any = None
        self._exchanges: deque[Exchange] = deque()
        self._room: asyncio.Future[None] | None = None
        self._paused = False
        self._fresh = True
        self._in_head = False
        self._head_raw = 0
        self._refusal: GatewayError | None = None
        """What to say when the answers before it are given; nothing is read any more."""
        self._discarding = False
        self._linger_from: float | None = None
        self._since = self._loop.time()
        """When the connection became idle, its head began, its body last grew, or its last bytes were discarded."""
        self._written = self._taken = 0
        self._taken_at = self._since

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio.Transport
        self._head.client = transport.get_extra_info("peername")
        self._head.server = transport.get_extra_info("sockname")
        self._parser = httptools.HttpRequestParser(self)
        if not self._host.opened(self):
            self._refuse(
                UnavailableError(
                    f"{self._settings.max_connections} connections are open, which is as many as gateway.maxConnections"
                    " allows. Try again later.",
                    code="too_many_connections",
                    retry_after=1.0,
                )
            )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._host.closed(self)
        self._discarding = True
        for exchange in self._exchanges:
            exchange.leave()
        self._exchanges.clear()
        self.resume_writing()
        self._parser = None

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._room is not None:
            if not self._room.done():
                self._room.set_result(None)
            self._room = None

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            self._since = self._loop.time()
            return
        if self._fresh:
            self._fresh = False
            if data.startswith((_HTTP2_PREFACE, _TLS_HELLO)):
                what = "TLS" if data.startswith(_TLS_HELLO) else "HTTP/2"
                self._refuse(BadRequestError(f"This port speaks plain HTTP/1.1, not {what}.", code="wrong_protocol"))
                return
        self._head_raw += len(data)
        self._feed(data)
        if self._in_head and self._head_raw > self._settings.max_header_bytes:
            self._refuse(self._head.too_large())
        self._pause_or_go_on()

    # Parsing

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nothing is upgraded here; the request is read again without the wish, its body with it.
            again = self._head.without_upgrade()
            self._parser = httptools.HttpRequestParser(self)
            self._feed(again + data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, GatewayError):
                raise
            self._refuse(cause)
        except httptools.HttpParserError as error:
            self._refuse(BadRequestError(f"This is not valid HTTP: {error}.", code="invalid_http"))

    def on_message_begin(self) -> None:
        self._head.begin()
        self._in_head = True
        self._head_raw = 0
        self._since = self._loop.time()

    def on_url(self, url: bytes) -> None:
        self._head.add_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head.add_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head.wants_upgrade(self._parser):
            return
        self._in_head = False
        scope = self._head.scope(self._parser)
        exchange = Exchange(
            self,
            scope,
            keep_alive=scope["http_version"] == "1.1" and self._parser.should_keep_alive(),
            expects_continue=self._head.expects_continue,
        )
        self._since = self._loop.time()
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._host.run(exchange)

    def on_body(self, body: bytes) -> None:
        self._since = self._loop.time()
        if self._exchanges and not self._discarding:
            self._exchanges[-1].feed(body)

    def on_message_complete(self) -> None:
        if not self._in_head and self._exchanges and not self._discarding:
            self._exchanges[-1].feed_end()

    def _refuse(self, error: GatewayError) -> None:
        """Read nothing any more, and say why: instead of the request that is being read, after those before it."""
        self._discarding = True
        last = self._exchanges[-1] if self._exchanges else None
        if last is not None and not last.body_complete:
            last.fail(error)
        elif last is not None:
            self._refusal = error
        else:
            self._answer(error)

    def _answer(self, error: GatewayError) -> None:
        body = error_body(error, self._head.dialect)
        lines = [status_line(error.status), b"date: ", self._host.date, b"\r\n"]
        for name, value in [*error_headers(error), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]:
            lines += (name, b": ", value, b"\r\n")
        self.write(b"".join([*lines, b"\r\n", body]))
        self._linger()

    def _linger(self) -> None:
        self._discarding = True
        self._since = self._linger_from = self._loop.time()
        self._pause_or_go_on()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _pause_or_go_on(self) -> None:
        last = self._exchanges[-1] if self._exchanges else None
        pause = last is not None and not self._discarding and (len(self._exchanges) > 1 or last.buffered > BUFFERED)
        if pause != self._paused and not self._transport.is_closing():
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # For exchanges

    @property
    def date(self) -> bytes:
        return self._host.date

    @property
    def draining(self) -> bool:
        return self._host.draining

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        if not self._transport.is_closing():
            self._written += len(data)
            self._transport.write(data)
        return self._room

    def body_taken(self) -> None:
        self._since = self._loop.time()
        self._pause_or_go_on()

    def answered(self, exchange: Exchange) -> None:
        if not self._exchanges:
            return
        self._exchanges.popleft()
        self._since = self._loop.time()
        if not exchange.body_complete:
            self._linger()
        elif not exchange.keep_alive:
            self.cut()
        elif self._exchanges:
            self._host.run(self._exchanges[0])
            self._pause_or_go_on()
        elif self._refusal is not None:
            self._answer(self._refusal)
        else:
            self._pause_or_go_on()

    def cut(self) -> None:
        self._transport.close()

    # For the listener

    @property
    def idle(self) -> bool:
        """Whether no request is in progress, nor being read."""
        return not self._exchanges and not self._in_head

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._transport.abort()

    def check(self, now: float) -> None:
        """Keep the time limits. `now` on the loop's clock."""
        self._check_writing(now)
        quiet = now - self._since
        if self._transport.is_closing():
            return
        if self._linger_from is not None:
            if quiet > LINGER or now - self._linger_from > LINGER_LONGEST:
                self.cut()
        elif self._exchanges:
            self._check_body(self._exchanges[-1], quiet)
        elif self._in_head:
            if quiet > self._settings.header_timeout:
                self._refuse(
                    RequestTooSlowError(
                        f"The head of the request was not whole after {self._settings.header_timeout:g} s, which is as"
                        " long as gateway.headerTimeout allows."
                    )
                )
        elif quiet > self._patience:
            self.cut()

    @property
    def _patience(self) -> float:
        """Seconds that the connection may be without a request."""
        if self._host.draining:
            return QUIET
        return self._settings.header_timeout if self._fresh else self._settings.keep_alive

    def _check_body(self, exchange: Exchange, quiet: float) -> None:
        if exchange.reading and not exchange.body_complete and quiet > self._settings.body_timeout:
            exchange.fail(
                RequestTooSlowError(
                    f"The body of the request made no progress for {self._settings.body_timeout:g} s, which is as long"
                    " as gateway.bodyTimeout allows."
                )
            )

    def _check_writing(self, now: float) -> None:
        left = self._transport.get_write_buffer_size()
        taken = self._written - left
        if left == 0 or taken != self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at > self._settings.write_timeout:
            self.abort()
