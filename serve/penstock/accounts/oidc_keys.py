"""The public keys that an issuer signs with: fetched, remembered, fetched anew. Used by `oidc`.

Keys are fetched before they are too old, in the background, so that no request waits for the issuer; and once for a key
that nobody knows, but not more than once in a while, however many made-up ones come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from penstock.accounts.cache import Outage
from penstock.accounts.errors import IssuerError, RefusedKeyError

logger = logging.getLogger(__name__)

TRY_AGAIN: Final = 1.0
"""Seconds between two questions to an issuer that did not answer."""
UNKNOWN_PAUSE: Final = 5.0
"""Seconds between two questions for keys that are not known."""

Jwk = Mapping[str, Any]
"""A public key as JSON, RFC 7517."""


class IssuerKeys:
    """Belongs to one event loop.

    Args:
        fetch: asks the issuer for its keys. Raises IssuerError.
        refresh: seconds after which they are fetched anew.
        outage: seconds for which known ones go on while the issuer does not answer.
        clock: monotonic seconds; for tests.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Sequence[Jwk]]],
        *,
        refresh: float,
        outage: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._refresh = refresh
        self._last = refresh + outage
        self._clock = clock
        self._keys: Sequence[Jwk] = ()
        self._asked: float | None = None
        self._outage = Outage(TRY_AGAIN)
        self._task: asyncio.Task[None] | None = None
        self.generation = 0
        """Another number once the keys are others: what was checked with those before is to be checked again."""

    async def load(self) -> None:
        """Fetch them now. Raises IssuerError."""
        await self._ask()

    async def check(self) -> None:
        """See that the keys are not too old; begin to fetch others in time. Raises IssuerError."""
        now = self._clock()
        age = None if self._asked is None else now - self._asked
        if age is None or age >= self._last:
            if not self._outage.may_ask(now):
                raise IssuerError("The issuer did not answer a moment ago.")
            await self._ask()
        elif age >= self._refresh and self._task is None and self._outage.may_ask(now):
            self._begin()

    async def find(self, kid: str | None) -> Jwk:
        """The key of an id; the only one, where a token names none.

        Raises:
            RefusedKeyError: the issuer has no such key.
            IssuerError: it cannot be asked.
        """
        await self.check()
        if (found := self._known(kid)) is not None:
            return found
        now = self._clock()
        if self._task is None:
            if self._asked is not None and now - self._asked < UNKNOWN_PAUSE:
                raise RefusedKeyError("unknown signer")
            if not self._outage.may_ask(now):
                raise IssuerError("The issuer did not answer a moment ago.")
        await self._ask()
        if (found := self._known(kid)) is None:
            raise RefusedKeyError("unknown signer")
        return found

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _known(self, kid: str | None) -> Jwk | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.get("kid") == kid), None)

    async def _ask(self) -> None:
        # One client that leaves takes nothing from the others that wait for the same answer.
        await asyncio.shield(self._task or self._begin())

    def _begin(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._load(), name="issuer-keys")
        self._task.add_done_callback(self._done)
        return self._task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            # Perhaps nobody waits for it; then its error is of no interest.
            task.exception()

    async def _load(self) -> None:
        asked = self._clock()
        try:
            keys = await self._fetch()
        except IssuerError as error:
            if not self._outage.is_on:
                logger.error(  # noqa: TRY400  # the sentence says it all
                    "the issuer of tokens does not answer; known keys go on",
                    extra={"fields": {"reason": error.message}},
                )
            self._outage.failed(self._clock())
            raise
        if self._outage.is_on:
            logger.warning("the issuer of tokens answers again")
        self._outage.ended()
        self._asked = asked
        if keys != self._keys:
            self._keys = keys
            self.generation += 1
