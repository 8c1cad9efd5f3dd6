"""Connections to one provider, over TLS, by aiohttp. Used by `asking`.

No redirect is followed, no proxy of the environment is used and no cookie is kept: whatever a provider says, its key
goes to the configured host alone.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from penstock.config.providers import Provider
from penstock.gateway.headers import Header
from penstock.gateway.providers.broken import ProviderBrokeError

KEEP: Final = 10.0
"""Seconds that an unused connection is kept. Providers keep theirs for longer, so that none is used as it goes."""
LARGEST_LINE: Final = 2**14
"""Bytes of one header line at most."""


class ProviderAnswer:
    """An answer whose head has come."""

    def __init__(self, response: aiohttp.ClientResponse, idle: float) -> None:
        self._response = response
        self._idle = idle
        self.status = response.status
        self.headers: list[Header] = [(name.lower(), value) for name, value in response.raw_headers]

    async def read(self) -> bytes:
        """The next bytes of the body, as soon as there are any; empty at its end. Raises ProviderBrokeError."""
        try:
            async with asyncio.timeout(self._idle):
                return await self._response.content.readany()
        except TimeoutError as error:
            raise ProviderBrokeError("timeout", "nothing came for too long") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderBrokeError("broken", type(error).__name__) from error

    def close(self) -> None:
        """Done with it. Cuts the connection unless the body was read to its end, so that the provider stops."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class ProviderClient:
    """Belongs to one event loop. Made by `opened`."""

    def __init__(self, provider: Provider, session: aiohttp.ClientSession) -> None:
        self._provider = provider
        self._session = session

    async def send(self, target: str, headers: dict[str, str], body: bytes | None) -> ProviderAnswer:
        """POST and wait for the head of the answer, for as long as `timeouts.firstByte`. Raises ProviderBrokeError.

        Args:
            target: the path below the provider's address.
            body: None for a GET.
        """
        method = "GET" if body is None else "POST"
        url = URL(self._provider.address + target, encoded=True)
        try:
            async with asyncio.timeout(self._provider.timeouts.first_byte):
                response = await self._session.request(method, url, data=body, headers=headers, allow_redirects=False)
        except TimeoutError as error:
            raise ProviderBrokeError("timeout", "no connection, or no head of an answer in time") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ProviderBrokeError("certificate", str(error.certificate_error)) from error
        except aiohttp.ClientConnectorError as error:
            raise ProviderBrokeError("unreachable", str(error.os_error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The texts of others may hold what was received.
            raise ProviderBrokeError("broken", type(error).__name__) from error
        return ProviderAnswer(response, self._provider.timeouts.idle)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


async def opened(provider: Provider) -> ProviderClient:
    """A client of a provider. Raises ProviderBrokeError where `caFile` cannot be read."""
    timeouts = provider.timeouts
    try:
        context = await asyncio.to_thread(_context, provider.ca_file)
    except OSError as error:
        raise ProviderBrokeError("certificate", f"caFile: {error.strerror or error}") from None
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(
            total=None, connect=timeouts.connect, sock_connect=timeouts.connect, sock_read=None
        ),
        max_line_size=LARGEST_LINE,
        max_field_size=LARGEST_LINE,
    )
    return ProviderClient(provider, session)


def _context(ca_file: str | None) -> ssl.SSLContext:
    """The system's certificates, or those of a file. Blocks."""
    return ssl.create_default_context(cafile=str(Path(ca_file).expanduser()) if ca_file is not None else None)
