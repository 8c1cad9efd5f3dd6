"""An OpenAI-compatible address, as a conversation in a terminal needs it. Used by `penstock chat`.

The standard library's client, because one thread that blocks is what Ctrl-C can interrupt: the connection is closed,
and with it the request ends at the server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.parse
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from penstock.cli.chat_stream import Piece, StreamError, pieces, sentence
from penstock.errors import DocumentError, EngineError, NotRunningError, PenstockError

_CONNECT = 10.0
_LARGEST_BODY = 2**22
_LARGEST_LINE = 2**22
Message = dict[str, str]


class Server:
    """One address.

    Args:
        url: `http://host:port`, with or without `/v1`.
        silence: seconds without a byte after which an answer is given up.

    Raises DocumentError for a URL that is none.
    """

    def __init__(self, url: str, *, key: str | None = None, silence: float = 660.0) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        try:
            parts = urllib.parse.urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https"):
            raise DocumentError(f"--url: {url!r} is no address.", remedy="Write it as http://127.0.0.1:8000")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._path = host, port, f"{parts.path}/v1"
        self._key = key
        self._silence = silence

    def models(self) -> list[str]:
        """Names of the models that it serves."""
        with self._request("GET", "/models") as response:
            body = _json(response.read(_LARGEST_BODY))
        listed = body.get("data") if isinstance(body, dict) else None
        if not isinstance(listed, list):
            raise EngineError(f"{self.url} does not speak OpenAI's API: /v1/models holds no list.")
        return [found["id"] for found in listed if isinstance(found, dict) and isinstance(found.get("id"), str)]

    def answer(self, model: str, messages: Sequence[Message], **sampling: Any) -> Generator[Piece]:
        """The parts of an answer as they come. Closing the iterator ends the request.

        Raises:
            NotRunningError: nobody listens.
            EngineError: the server failed, before or within the answer.
            PenstockError: the server refuses the request.
        """
        given = {name: value for name, value in sampling.items() if value is not None}
        body = {"model": model, "messages": list(messages), "stream": True, **given}
        with self._request("POST", "/chat/completions", body) as response:
            if not (response.getheader("content-type") or "").startswith("text/event-stream"):
                raise EngineError(f"{self.url} answered with something else than a stream of events.")
            try:
                yield from pieces(_lines(response))
            except StreamError as error:
                raise EngineError(str(error)) from None

    @contextlib.contextmanager
    def _request(self, method: str, path: str, body: Any = None) -> Iterator[http.client.HTTPResponse]:
        connection = self._kind(self._host, self._port, timeout=_CONNECT)
        try:
            self._connect(connection)
            headers = {"accept": "application/json, text/event-stream"}
            if self._key:
                headers["authorization"] = f"Bearer {self._key}"
            data = None
            if body is not None:
                headers["content-type"] = "application/json"
                data = json.dumps(body).encode()
            connection.request(method, self._path + path, data, headers)
            response = connection.getresponse()
            if response.status != 200:
                raise self._refusal(response)
            yield response
        except TimeoutError:
            raise EngineError(f"{self.url} said nothing for {self._silence:.0f} seconds.") from None
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(
                f"The connection to {self.url} broke: {str(error) or type(error).__name__}.",
                remedy="penstock status says how the model is.",
            ) from None
        finally:
            connection.close()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotRunningError(
                f"Nothing answers at {self.url}: {said}.",
                remedy="Start Penstock with penstock up, or name another address with --url.",
            ) from None
        # The connection is made; an answer may take as long as its model takes to start.
        connection.sock.settimeout(self._silence)

    def _refusal(self, response: http.client.HTTPResponse) -> PenstockError:
        said = sentence(_json(response.read(_LARGEST_BODY))) or f"{self.url} answered {response.reason}."
        said = f"{said} ({response.status})"
        if response.status in (401, 403):
            return PenstockError(said, remedy="Name the variable that holds a key: --api-key-env NAME")
        if response.status == 404:
            return DocumentError(said, remedy="penstock chat MODEL takes one of the models that /models lists.")
        if response.status >= 500 or response.status == 429:
            after = response.getheader("retry-after")
            return EngineError(said, remedy=f"Try again in {after} seconds." if after else None)
        return PenstockError(said)


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while line := response.readline(_LARGEST_LINE):
        yield line


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
