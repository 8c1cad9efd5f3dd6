"""Key → account, for every request: keys that are listed, then what is remembered of the store, then the store itself.
Used by the gateway's `authentication`.

A known key costs one hash and one look-up in a dictionary. One that is in use is looked up anew in the background
before its memory ends, so its requests do not wait for the store. However many requests come with one unknown key, the
store is asked once; however many unknown keys come, the store is asked for so many a second at most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.cache import Allowance, KeyCache, Outage, Trust
from penstock.accounts.errors import RefusedKeyError, StoreError, TooManyUnknownKeysError

logger = logging.getLogger(__name__)

PATIENCE: Final = 2.0
"""Seconds that the store has to answer a look-up."""
TRY_AGAIN: Final = 1.0
"""Seconds between two questions to a store that did not answer."""
AT_ONCE: Final = 4
"""Look-ups that the store is asked at once."""
NEW_KEYS_RATE, NEW_KEYS_BURST = 100.0, 1000.0
"""Look-ups of unknown keys a second, and at once after a quiet time."""


class KeySource(Protocol):
    """The store, as far as look-ups go."""

    async def find(self, digest: bytes) -> Account | None:
        """The account of a key's digest, disabled and expired ones too. Raises StoreError."""


class Directory:
    """Belongs to one event loop.

    Args:
        store: None where keys are only listed.
        life: seconds for which the store's answers are good, at most 5.
        outage: seconds for which known keys go on while the store does not answer.
        clock: monotonic seconds; for tests.
        wall: seconds since the epoch; for tests.
    """

    def __init__(
        self,
        store: KeySource | None,
        *,
        life: float,
        outage: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._places: dict[str, Mapping[bytes, Account]] = {}
        self._listed: Mapping[bytes, Account] = {}
        self._cache = KeyCache(life, outage)
        self._outage = Outage(TRY_AGAIN)
        self._newcomers = Allowance(NEW_KEYS_RATE, NEW_KEYS_BURST)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._asking: dict[bytes, asyncio.Task[Account | None]] = {}

    def replace(self, place: str, accounts: Mapping[bytes, Account]) -> None:
        """List other keys in a place: the document, or a file. By their digests."""
        self._places[place] = accounts
        self._listed = {digest: account for listed in self._places.values() for digest, account in listed.items()}

    @property
    def listed(self) -> list[Account]:
        """The listed keys, each once."""
        return list({account.id: account for account in self._listed.values()}.values())

    async def find(self, key: bytes) -> Account:
        """The account of a key.

        Raises:
            RefusedKeyError: there is none, or it may not be used now.
            TooManyUnknownKeysError: it was not looked up.
            StoreError: it is not known here, and the store cannot be asked.
        """
        if len(key) > secret.LONGEST:
            raise RefusedKeyError("malformed")
        digest = secret.digest(key)
        account = self._listed.get(digest)
        if account is None:
            account = await self._stored(key, digest)
        if (refusal := account.refusal_at(self._wall())) is not None:
            raise RefusedKeyError(refusal, account.id)
        return account

    async def close(self) -> None:
        """Stop asking."""
        while tasks := list(self._asking.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _stored(self, key: bytes, digest: bytes) -> Account:
        now = self._clock()
        account, trust = self._cache.recall(digest, now)
        if account is not None and trust is not Trust.NONE:
            return await self._trusted(account, trust, digest, now)
        if trust is Trust.FRESH:
            raise RefusedKeyError("unknown")
        if not secret.is_whole(key):
            raise RefusedKeyError("malformed")
        if self._store is None:
            raise RefusedKeyError("unknown")
        if not self._outage.may_ask(now):
            raise StoreError("The store of keys did not answer a moment ago.")
        if digest not in self._asking and not self._newcomers.take(now):
            raise TooManyUnknownKeysError
        found = await self._ask(digest)
        if found is None:
            raise RefusedKeyError("unknown")
        return found

    async def _trusted(self, account: Account, trust: Trust, digest: bytes, now: float) -> Account:
        if trust is Trust.FRESH:
            return account
        if trust is Trust.DUE or self._outage.is_on:
            # Nobody waits for an answer that is not needed yet, or that will probably not come.
            if digest not in self._asking and self._outage.may_ask(now):
                self._begin(digest)
            return account
        try:
            found = await self._ask(digest)
        except StoreError:
            return account
        if found is None:
            raise RefusedKeyError("unknown")
        return found

    async def _ask(self, digest: bytes) -> Account | None:
        # One client that leaves takes nothing from the others that wait for the same answer.
        return await asyncio.shield(self._asking.get(digest) or self._begin(digest))

    def _begin(self, digest: bytes) -> asyncio.Task[Account | None]:
        task = asyncio.get_running_loop().create_task(self._look_up(digest), name="key-look-up")
        self._asking[digest] = task
        task.add_done_callback(lambda done: self._asked(digest, done))
        return task

    def _asked(self, digest: bytes, done: asyncio.Task[Account | None]) -> None:
        self._asking.pop(digest, None)
        if not done.cancelled():
            # Perhaps nobody waits for it any more; then its error is of no interest.
            done.exception()

    async def _look_up(self, digest: bytes) -> Account | None:
        assert self._store is not None
        try:
            async with asyncio.timeout(PATIENCE), self._turn:
                asked = self._clock()
                account = await self._store.find(digest)
        except TimeoutError:
            self._failed("it did not answer in time")
            raise StoreError(f"The store of keys did not answer within {PATIENCE:g} s.") from None
        except StoreError as error:
            self._failed(error.message)
            raise
        if self._outage.is_on:
            logger.warning("the store of keys answers again")
        self._outage.ended()
        self._cache.note(digest, account, asked)
        return account

    def _failed(self, reason: str) -> None:
        if not self._outage.is_on:
            logger.error("the store of keys does not answer; known keys go on", extra={"fields": {"reason": reason}})
        self._outage.failed(self._clock())
