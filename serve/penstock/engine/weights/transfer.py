"""One file from an address to the disk: in ranges, resumed, checked against its size and digest."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from penstock.engine.weights.errors import ChangedError
from penstock.engine.weights.files import Patience, Progress, RemoteFile
from penstock.engine.weights.incoming import Incoming
from penstock.engine.weights.remote import Remote
from penstock.engine.weights.retry import (
    NETWORK_ERRORS,
    TransientError,
    is_busy,
    network_error,
    patiently,
    retry_after,
)
from penstock.errors import WeightsError

_BUFFER = 2**20
_PIECES = 8
"""Received pieces that may wait to be written, each of at most twice the buffer."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
logger = logging.getLogger(__name__)


class Tally:
    """Bytes of all files of a fetch so far. Written by its transfers, read by whoever reports."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None
        self.file = ""

    def progress(self) -> Progress:
        return Progress(self.done, self.total, self.file)


class _WrongSizeError(Exception):
    """The server has another number of bytes for a file than its listing."""


def new_session(patience: Patience) -> aiohttp.ClientSession:
    """Connections for one fetch. Proxies come from the usual variables."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect, sock_read=patience.silence),
        trust_env=True,
        auto_decompress=False,
        requote_redirect_url=False,  # the hub redirects to signed addresses, which requoting would break
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "penstock"},
        read_bufsize=_BUFFER,
    )


class Transfer:
    """Brings files of one remote, adding what arrives to a tally."""

    def __init__(self, remote: Remote, http: aiohttp.ClientSession, patience: Patience, tally: Tally) -> None:
        self._remote = remote
        self._http = http
        self._patience = patience
        self._tally = tally

    async def bring(self, file: RemoteFile, incoming: Incoming) -> None:
        """Have the whole, verified file in place.

        A wrong file is thrown away and read once more before it is an error. Raises WeightsError, ChangedError, and
        OSError of the disk.
        """
        try:
            await asyncio.to_thread(incoming.open)
            fault = ""
            for _ in range(2):
                fault = await self._try(file, incoming)
                if not fault:
                    await asyncio.to_thread(incoming.accept)
                    return
                logger.warning("a file arrived wrong", extra={"fields": {"file": file.path, "fault": fault}})
                await self._restart(incoming)
            raise WeightsError(
                f"{file.path} from {self._remote.title} arrived wrong, twice: {fault}.",
                remedy="Something on the way changes files (a proxy, a mirror), or the file at the source is broken.",
            )
        finally:
            incoming.close()

    async def _try(self, file: RemoteFile, incoming: Incoming) -> str:
        """Empty where the file is right, else what is wrong with it."""
        while await asyncio.to_thread(incoming.catch_up):
            pass
        try:
            await patiently(
                lambda: self._receive(file, incoming),
                what=f"{file.path} from {self._remote.title}",
                patience=self._patience,
                headway=lambda: incoming.size,
            )
        except _WrongSizeError as error:
            return str(error)
        return "" if incoming.is_right() else f"its {file.checksum.algorithm if file.checksum else 'size'} differs"

    async def _receive(self, file: RemoteFile, incoming: Incoming) -> None:
        if incoming.size == file.size:
            return
        self._tally.file = file.path
        address = await self._remote.address(file)
        host = urlsplit(address.url).hostname or "the server"
        headers = dict(address.headers)
        if incoming.size:
            headers["Range"] = f"bytes={incoming.size}-"
        try:
            async with self._http.get(URL(address.url, encoded=True), headers=headers) as response:
                await self._admit(file, incoming, response, host)
                await self._take(file, incoming, response)
        except NETWORK_ERRORS as error:
            raise network_error(error, host) from None
        if incoming.size < file.size:
            raise TransientError(f"{host} sent {incoming.size} of {file.size} bytes")

    async def _admit(self, file: RemoteFile, incoming: Incoming, response: aiohttp.ClientResponse, host: str) -> None:
        """Go on only where the body is the rest of this file, or all of it."""
        status = response.status
        if is_busy(status):
            raise TransientError(f"{host} answered {status}", after=retry_after(response.headers))
        if status == 416:
            await self._restart(incoming)
            raise TransientError(f"{host} has no bytes after those that arrived")
        if status not in {200, 206}:
            raise self._refused(file, status, response.headers)
        if status == 200 and incoming.size:
            await self._restart(incoming)
        start, size = _offer(status, response.headers)
        if start != incoming.size:
            await self._restart(incoming)
            raise TransientError(f"{host} sent another range than was asked for")
        if size is not None and size != file.size:
            raise _WrongSizeError(f"it has {size} bytes there and {file.size} in the listing")

    def _refused(self, file: RemoteFile, status: int, headers: Mapping[str, str]) -> WeightsError | ChangedError:
        return self._remote.refusal(file, status, headers)

    async def _take(self, file: RemoteFile, incoming: Incoming, response: aiohttp.ClientResponse) -> None:
        # Reading goes on during writes: of a connection that breaks, aiohttp gives up what it had received.
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES)
        writer = asyncio.create_task(self._write_all(incoming, pieces))
        received = incoming.size
        try:
            async for data in response.content.iter_any():
                received += len(data)
                if received > file.size:
                    raise _WrongSizeError(f"it has more than the {file.size} bytes in the listing")
                await pieces.put(data)
                if writer.done():
                    break
        except asyncio.CancelledError:
            writer.cancel()
            raise
        finally:
            if not writer.done():
                await pieces.put(None)
            await asyncio.wait({writer})
        writer.result()

    async def _write_all(self, incoming: Incoming, pieces: asyncio.Queue[bytes | None]) -> None:
        try:
            while (data := await pieces.get()) is not None:
                await asyncio.to_thread(incoming.write, data)
                self._tally.done += len(data)
        finally:
            # A reader that waits for a place must not wait for ever.
            while not pieces.empty():
                pieces.get_nowait()

    async def _restart(self, incoming: Incoming) -> None:
        self._tally.done -= incoming.size
        await asyncio.to_thread(incoming.restart)


def _offer(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Where a body begins in its file, and how long the whole file is, where the server says so."""
    if status == 206:
        match = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None:
            return -1, None
        return int(match[1]), None if match[3] == "*" else int(match[3])
    length = headers.get("Content-Length", "")
    return 0, int(length) if length.isascii() and length.isdigit() else None
