"""The head of a request, line by line as the parser reads it, with its limits; its ASGI scope. Used by `connection`."""

from __future__ import annotations

import http
from typing import Any, Final, Protocol
from urllib.parse import unquote

import httptools

from penstock.gateway.errors import BadRequestError, HeadTooLargeError, MethodNotAllowedError, PathTooLongError
from penstock.gateway.headers import Header
from penstock.gateway.routes import Dialect, dialect_of

MOST_LINES = 256
LONGEST_PATH = 2**14

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


class Parser(Protocol):
    """What is asked of httptools' parser."""

    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...
    def should_upgrade(self) -> bool: ...


class HeadReader:
    """One for all requests of a connection. Raises its errors out of the parser's callbacks.

    Args:
        limit: bytes of a head at most.
    """

    def __init__(self, limit: int) -> None:
        self.client: Any = None
        self.server: Any = None
        self._limit = limit
        self._method = b""
        self.begin()

    def begin(self) -> None:
        """The next request."""
        self._url = b""
        self._headers: list[Header] = []
        self._size = 0
        self._without_upgrade = b""

    def add_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url
        self._size += len(url)
        if len(self._url) > LONGEST_PATH:
            raise PathTooLongError(f"The path is longer than {LONGEST_PATH} bytes.")

    def add_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a line after a chunked body, which counts but is not kept."""
        self._size += len(name) + len(value) + 4
        if self._size > self._limit:
            raise self.too_large()
        if len(self._headers) >= MOST_LINES:
            raise HeadTooLargeError(f"The request has more than {MOST_LINES} header lines.")
        self._headers.append((name.lower(), value))

    def too_large(self) -> HeadTooLargeError:
        """The error of a head that is over the limit."""
        return HeadTooLargeError(
            f"The head of the request is larger than {self._limit} bytes, which is as large as gateway.maxHeaderBytes"
            " allows."
        )

    @property
    def dialect(self) -> Dialect:
        """Whose errors the client reads, as far as its path is known."""
        return dialect_of(self._url.decode("latin-1"))

    @property
    def expects_continue(self) -> bool:
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers)

    def wants_upgrade(self, parser: Parser) -> bool:
        """Whether the client asks for another protocol (JDK's HttpClient does with every first request)."""
        if not parser.should_upgrade():
            return False
        if parser.get_method() == b"CONNECT":
            raise MethodNotAllowedError("This is no proxy: CONNECT is not answered here.", allow="GET, POST, OPTIONS")
        lines = [b"%b %b HTTP/%b\r\n" % (parser.get_method(), self._url, parser.get_http_version().encode())]
        lines += [b"%b: %b\r\n" % header for header in self._headers if header[0] not in (b"upgrade", b"connection")]
        self._without_upgrade = b"".join([*lines, b"\r\n"])
        return True

    def without_upgrade(self) -> bytes:
        """The head as it would be without the wish for another protocol."""
        return self._without_upgrade

    def scope(self, parser: Parser) -> dict[str, Any]:
        """The request as ASGI has it. Raises BadRequestError."""
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadRequestError(f"This port speaks HTTP/1.1, not HTTP/{version}.", code="wrong_protocol")
        hosts = sum(name == b"host" for name, _ in self._headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise BadRequestError(
                f"The request has {hosts} host header lines; HTTP/1.1 wants one.", code="invalid_http"
            )
        if self._url == b"*":
            raw_path, query = b"*", b""
        else:
            try:
                url = httptools.parse_url(self._url)
            except httptools.HttpParserInvalidURLError:
                raise BadRequestError("The request's target is no valid path.", code="invalid_http") from None
            raw_path, query = url.path or b"/", url.query or b""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(raw_path.decode("latin-1"), errors="replace"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self.client,
            "server": self.server,
        }
