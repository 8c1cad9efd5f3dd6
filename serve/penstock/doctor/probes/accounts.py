"""Where keys and tokens are checked: can it be read or asked. Nothing is changed, and no key is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from penstock.accounts.listed import read_file
from penstock.config.accounts import Accounts, Database
from penstock.config.limits import LimitSettings
from penstock.config.oidc import Oidc
from penstock.doctor.facts import KeySource
from penstock.doctor.probes.together import together
from penstock.errors import PenstockError

_REDIS = "the Redis of limits"


def sources(settings: Accounts, *, offline: bool, limit: float) -> tuple[KeySource, ...]:
    """The file, the store, the issuer and the Redis that the document names, all looked at at the same time.

    Args:
        offline: leave out what is asked over the network.
        limit: seconds for all of them together.
    """
    jobs, late = [], []
    for job, source in _jobs(settings, offline=offline):
        jobs.append(job)
        late.append(source)
    return tuple(together(jobs, late, limit))


def _jobs(settings: Accounts, *, offline: bool) -> Iterator[tuple[Callable[[], KeySource], KeySource]]:
    """Each with what to say where it takes too long."""
    late = "it did not answer in time."
    if settings.keys_file is not None:
        path = Path(settings.keys_file).expanduser()
        yield partial(_file, path), KeySource("file", str(path), error=f"{path}: {late}")
    store = settings.store
    if store is not None and not (offline and (store.env or store.file)):
        yield partial(_store, store), KeySource("store", "the store of keys", error=f"The store of keys: {late}")
    if settings.oidc is not None and not offline:
        issuer = settings.oidc.issuer
        yield partial(_issuer, settings.oidc), KeySource("issuer", issuer, error=f"The issuer {issuer}: {late}")
    if settings.limits.redis is not None and not offline:
        yield partial(_counters, settings.limits), KeySource("counters", _REDIS, error=f"The Redis of limits: {late}")


def _file(path: Path) -> KeySource:
    try:
        return KeySource("file", str(path), keys=len(read_file(path)))
    except PenstockError as error:
        return KeySource("file", str(path), error=error.message, remedy=error.remedy)


def _store(database: Database) -> KeySource:
    # Only now: most documents name none, and the libraries of databases take their time.
    from penstock.accounts.address import address_of  # noqa: PLC0415
    from penstock.accounts.inspecting import look_at  # noqa: PLC0415

    name = "the store of keys"
    try:
        address = address_of(database)
        name = address.name
        state = look_at(address)
    except PenstockError as error:
        return KeySource("store", name, error=error.message, remedy=error.remedy)
    return KeySource("store", name, keys=state.keys, tables=state.tables)


def _issuer(settings: Oidc) -> KeySource:
    # As above.
    from penstock.accounts.oidc_issuer import fetch_keys  # noqa: PLC0415

    try:
        keys = asyncio.run(fetch_keys(settings))
    except PenstockError as error:
        return KeySource("issuer", settings.issuer, error=error.message, remedy=error.remedy)
    return KeySource("issuer", settings.issuer, keys=len(keys))


def _counters(settings: LimitSettings) -> KeySource:
    # As above.
    from penstock.accounts.limits.opening import OpenLimits  # noqa: PLC0415

    async def missing() -> bool:
        limits = OpenLimits(settings.model_copy(update={"without_redis": "refuse"}))
        try:
            await limits.start()
            return bool(limits.missing)
        finally:
            await limits.close()

    try:
        if asyncio.run(missing()):
            return KeySource("counters", _REDIS, error="The Redis of limits cannot be reached.")
    except PenstockError as error:
        return KeySource("counters", _REDIS, error=error.message, remedy=error.remedy)
    return KeySource("counters", _REDIS)
