"""Trying again, a bounded number of times and ever more slowly, what may succeed later. Used for every request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import aiohttp

from penstock.engine.weights.errors import UnreachableError
from penstock.engine.weights.files import Patience
from penstock.errors import WeightsError

LONGEST_RETRY_AFTER = 60.0
HEADWAY = 8 * 2**20
"""Bytes of progress after which earlier failures are forgotten: a long download over a bad line may fail often."""

T = TypeVar("T")
logger = logging.getLogger(__name__)


class TransientError(Exception):
    """This try failed in a way that a later one may not. `after`: seconds that the server asked to wait."""

    def __init__(self, what: str, *, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


async def patiently(
    attempt: Callable[[], Awaitable[T]], *, what: str, patience: Patience, headway: Callable[[], int] = lambda: 0
) -> T:
    """What `attempt` returns. `what` names it for the error: "the hub https://…"; `headway` counts bytes so far.

    Raises UnreachableError after `patience.attempts` tries in a row without headway, and whatever `attempt` raises
    beyond TransientError.
    """
    failures, wait, reached = 0, patience.first_wait, headway()
    while True:
        try:
            return await attempt()
        except TransientError as error:
            if headway() - reached >= HEADWAY:
                failures, wait, reached = 0, patience.first_wait, headway()
            failures += 1
            if failures >= patience.attempts:
                raise UnreachableError(
                    f"{what[:1].upper()}{what[1:]} could not be read: {error} ({failures} tries).",
                    remedy="Check the network, the proxy and the endpoint; what has arrived is kept, so start again.",
                ) from None
            pause = max(wait, min(error.after or 0.0, LONGEST_RETRY_AFTER))
            logger.info("will try again", extra={"fields": {"what": what, "error": str(error), "seconds": pause}})
            await asyncio.sleep(pause)
            wait = min(wait * 2, patience.longest_wait)


def network_error(error: Exception, host: str) -> TransientError | WeightsError:
    """What a failed exchange with a server means. Speaks of the host alone: addresses may be signed."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return WeightsError(
            f"The certificate of {host} is not trusted: {error.certificate_error}",
            remedy="Behind a proxy that opens TLS, name its authority in the variable SSL_CERT_FILE.",
        )
    if isinstance(error, aiohttp.InvalidURL | aiohttp.TooManyRedirects):
        return WeightsError(
            f"{host} cannot be read: its address is not valid, or redirects without end.",
            remedy="Check the endpoint under weights.",
        )
    return TransientError(_broken(error, host))


def _broken(error: Exception, host: str) -> str:
    if isinstance(error, TimeoutError):
        return f"{host} sent nothing in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {host}: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"{host} cut the connection in the middle of a file"
    return f"the connection to {host} broke ({type(error).__name__})"


NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, ConnectionError)
"""What aiohttp raises for a failed exchange; `network_error` explains them."""


def is_busy(status: int) -> bool:
    """Whether a status means "not now"."""
    return status in {408, 425, 429} or status >= 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header; None where it is not there, or a date."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
