"""Where `penstock keys` and `usage` work: on this machine's store, on another one, or through a gateway's `/admin`."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import typer
from pydantic import ValidationError

from penstock import environment
from penstock.accounts.address import Address, address_of, sqlite
from penstock.accounts.remote import RemoteKeys
from penstock.accounts.service import KeyService
from penstock.accounts.store import Store
from penstock.config.accounts import Database
from penstock.config.addresses import checked_endpoint
from penstock.errors import DocumentError

Answer = TypeVar("Answer")
Keys = KeyService | RemoteKeys

DatabaseEnv = Annotated[
    str | None,
    typer.Option("--database-env", help="The variable that holds the address of a PostgreSQL.", metavar="NAME"),
]
SqliteFile = Annotated[
    Path | None, typer.Option("--sqlite", help="A SQLite file, instead of this machine's.", metavar="FILE")
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="A gateway to ask instead of the store, such as http://localhost:8000.", metavar="URL"),
]
AdminKeyEnv = Annotated[
    str | None,
    typer.Option("--admin-key-env", help="With --url: the variable that holds an admin's key.", metavar="NAME"),
]


class Where(NamedTuple):
    """What the options say."""

    database_env: str | None
    sqlite_file: Path | None
    url: str | None
    admin_key_env: str | None


def run(work: Callable[[Keys, str], Awaitable[Answer]], where: Where) -> Answer:
    """Do something with the keys, in the name of the user of this machine or of an admin's key.

    Raises:
        DocumentError: the options name two places or none, or the gateway refuses what is asked.
        StoreError: the store cannot be reached.
        MachineError: the gateway does not answer.
    """

    async def opened() -> Answer:
        async with _keys(where) as keys:
            return await work(keys, _actor())

    return asyncio.run(opened())


@asynccontextmanager
async def _keys(where: Where) -> AsyncIterator[Keys]:
    if where.url is not None:
        yield remote_keys(where)
        return
    store = Store(address_of_store(where))
    try:
        await store.open()
        yield KeyService(store)
    finally:
        await store.close()


def remote_keys(where: Where) -> RemoteKeys:
    """The gateway of `--url`. Raises DocumentError."""
    _check(where)
    url, admin_key_env = where.url or "", where.admin_key_env
    try:
        checked_endpoint(url)
    except ValueError as error:
        raise DocumentError(f"--url: {error}.") from None
    if admin_key_env is None:
        raise DocumentError(
            "A gateway asks for an admin's key.", remedy="Put it into a variable and name that with --admin-key-env."
        )
    if (key := environment.variable(admin_key_env)) is None:
        raise DocumentError(
            f"--admin-key-env: the variable {admin_key_env} is empty or not set.", remedy="Put an admin's key into it."
        )
    return RemoteKeys(url, key.strip())


def address_of_store(where: Where) -> Address:
    """Of the store that the options name. Raises DocumentError, StoreError."""
    _check(where)
    if where.admin_key_env is not None:
        raise DocumentError("--admin-key-env is for asking a gateway.", remedy="Name it with --url, or leave it out.")
    if where.sqlite_file is not None:
        return sqlite(where.sqlite_file.expanduser().absolute())
    return address_of(_database(where.database_env))


def _check(where: Where) -> None:
    named = [
        option
        for option, given in (
            ("--database-env", where.database_env),
            ("--sqlite", where.sqlite_file),
            ("--url", where.url),
        )
        if given is not None
    ]
    if len(named) > 1:
        raise DocumentError(f"{' and '.join(named)} name two stores.", remedy="Leave one out.")


def _database(env: str | None) -> Database:
    try:
        return Database(env=env)
    except ValidationError as error:
        said = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        raise DocumentError(f"--database-env: {said.removeprefix('Value error, ')}") from None


def _actor() -> str:
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    return f"cli:{name}@{socket.gethostname()}"
