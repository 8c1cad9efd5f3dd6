"""Keys that the document or a file lists → accounts by digest; and a watch over the file. Used by `opening`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.config.accounts import ListedKey
from penstock.config.loading import check
from penstock.config.problems import Problem, document_error
from penstock.config.reading import read
from penstock.config.tree import Place, assign, from_plain
from penstock.errors import DocumentError

logger = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at the file."""

_HERE = ("accounts", "keys")

Stamp = tuple[int, int, int]


def accounts_of(keys: Mapping[str, ListedKey], place: str) -> dict[bytes, Account]:
    """The accounts of listed keys by their digests.

    Args:
        place: `document` or `file`; the beginning of the accounts' ids.
    """
    return {
        secret.read(text): Account(
            id=f"{place}:{name}",
            name=name,
            owner=key.owner,
            models=tuple(key.models),
            roles=frozenset(key.roles),
            disabled=key.disabled,
            until=None if key.expires is None else key.expires.timestamp(),
            limits=key.limits,
        )
        for name, key in keys.items()
        for text in key.hashes
    }


def read_file(path: Path) -> dict[str, ListedKey]:
    """The keys of a file, which is written as the document's `accounts.keys`. Raises DocumentError."""
    problems: list[Problem] = []
    node = read(path, problems)
    if node is None or problems:
        raise document_error(problems)
    return check(assign(from_plain({}, Place(str(path))), _HERE, node)).accounts.keys


class KeysFile:
    """Reads a file of keys whenever it changes.

    Args:
        path: of the file. A Secret's is a link that Kubernetes turns to another file.
        changed: gets the accounts by digest.
    """

    def __init__(self, path: Path, changed: Callable[[dict[bytes, Account]], None]) -> None:
        self._path = path
        self._changed = changed
        self._seen: Stamp | None = None

    def load(self) -> None:
        """Read it now. Raises DocumentError."""
        self._seen = self._stamp()
        self._changed(accounts_of(read_file(self._path), "file"))

    async def watch(self) -> None:
        """Read it again after each change, for ever. One that cannot be read leaves the keys as they were."""
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def look(self) -> None:
        """Read it if it has changed."""
        if (stamp := self._stamp()) == self._seen:
            return
        self._seen = stamp
        try:
            self._changed(accounts_of(read_file(self._path), "file"))
        except DocumentError as error:
            logger.error(  # noqa: TRY400  # the sentence says it all
                "the file of keys cannot be read; its keys stay as they were", extra={"fields": {"error": str(error)}}
            )
        else:
            logger.info("the file of keys was read anew", extra={"fields": {"path": str(self._path)}})

    def _stamp(self) -> Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
