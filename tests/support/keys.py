"""Keys and sources of them for tests of accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from penstock.accounts import secret
from penstock.accounts.opening import OpenAccounts
from penstock.config.accounts import Accounts, ListedKey


def hash_of(key: str) -> str:
    """As documents list it."""
    return secret.written(secret.digest(key.encode()))


def listed(key: str, **more: Any) -> ListedKey:
    """The entry of a key; `more` as in documents."""
    return ListedKey.model_validate({"hashes": [hash_of(key)], **more})


@asynccontextmanager
async def opened(
    settings: Mapping[str, Any] | None = None, keys: Mapping[str, ListedKey] | None = None
) -> AsyncIterator[OpenAccounts]:
    """Accounts as a gateway has them. `settings` as in documents; keys are asked for unless they say otherwise."""
    accounts = OpenAccounts(Accounts.model_validate({"anonymous": False, **(settings or {})}))
    accounts.replace_keys(keys or {})
    await accounts.start()
    try:
        yield accounts
    finally:
        await accounts.close()
