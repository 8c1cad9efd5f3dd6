"""The limits of one gateway: its counters opened and closed together. Used by the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from penstock import environment
from penstock.accounts.errors import StoreError
from penstock.accounts.limits.limiter import Limiter
from penstock.config.limits import LimitSettings
from penstock.config.weights import SecretFrom

if TYPE_CHECKING:
    from penstock.accounts.limits.redis import RedisCounters

_FORM = "Write redis://:password@host:6379/0, or rediss:// for TLS."


class OpenLimits:
    """Belongs to one event loop. Raises StoreError where the address of Redis cannot be read.

    Args:
        settings: the document's.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._redis = _redis(settings.redis) if settings.redis is not None else None
        self.limiter = Limiter(settings, self._redis)

    @property
    def missing(self) -> str:
        """Why requests cannot be let in yet, since the start; empty once they can. Anybody may read it."""
        if self._redis is None or self._redis.was_there or not self.limiter.refuses:
            return ""
        return "The counters of limits (Redis) cannot be reached; the gateway's log says why."

    async def start(self) -> None:
        """Reach for the counters. What fails is tried again in the background."""
        if self._redis is not None:
            await self._redis.open()

    async def close(self) -> None:
        """Tell what is still to be told, and end all connections."""
        await self.limiter.close()


def _redis(place: SecretFrom) -> RedisCounters:
    # Only now: where there is no Redis, nobody waits for its library.
    from penstock.accounts.limits.redis import RedisCounters  # noqa: PLC0415

    address, where = _address(place)
    try:
        return RedisCounters(address)
    except (ValueError, TypeError):
        # Without its cause, which may show the text.
        raise StoreError(f"The address of Redis in {where} cannot be read.", remedy=_FORM) from None


def _address(place: SecretFrom) -> tuple[str, str]:
    if place.env is not None:
        text, where = environment.variable(place.env), f"the variable {place.env}"
        if text is None:
            raise StoreError(f"accounts.limits.redis.env: {where} is empty or not set.", remedy=_FORM)
        return text.strip(), where
    path = Path(place.file or "").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip(), f"the file {path}"
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"accounts.limits.redis.file: {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}."
        ) from None
