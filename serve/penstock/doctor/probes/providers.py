"""Do providers answer `GET /models` with the key that the document names? It costs nothing there. Used by `gather`."""

from __future__ import annotations

import asyncio
from functools import partial

import orjson

from penstock.config import Document
from penstock.config.providers import Provider
from penstock.doctor.facts import SeenProvider
from penstock.doctor.probes.together import together
from penstock.gateway.providers.broken import ProviderBrokeError
from penstock.gateway.providers.client import opened
from penstock.gateway.providers.keys import KeyMissingError, read_key
from penstock.gateway.providers.requests import header_lines

_LARGEST = 2**22


def providers(document: Document, *, offline: bool, limit: float) -> tuple[SeenProvider, ...]:
    """Each provider, asked once, all at the same time.

    Args:
        offline: look for the keys only.
        limit: seconds for all of them together.
    """
    named = list(document.providers.items())
    jobs = [partial(_look, name, provider, offline=offline) for name, provider in named]
    late = [SeenProvider(name, error=f"no answer within {limit:.0f} seconds") for name, _ in named]
    return tuple(together(jobs, late, limit))


def _look(name: str, provider: Provider, *, offline: bool) -> SeenProvider:
    try:
        key = read_key(provider.key) if provider.key is not None else None
    except KeyMissingError as error:
        return SeenProvider(name, key_error=str(error))
    if offline:
        return SeenProvider(name)
    try:
        return asyncio.run(_ask(name, provider, key))
    except ProviderBrokeError as error:
        return SeenProvider(name, error=str(error))


async def _ask(name: str, provider: Provider, key: str | None) -> SeenProvider:
    client = await opened(provider)
    try:
        lines = header_lines(key, provider.sends_key_in, streams=False)
        answer = await client.send("/models", lines, None)
        body = b""
        while len(body) < _LARGEST and (chunk := await answer.read()):
            body += chunk
        answer.close()
    finally:
        await client.close()
    return SeenProvider(name, status=answer.status, models=_models(body) if answer.status == 200 else None)


def _models(body: bytes) -> frozenset[str] | None:
    """The ids of a listing; None where it is none."""
    try:
        listed = orjson.loads(body)["data"]
        # Google puts a folder before its names.
        return frozenset(str(each["id"]).removeprefix("models/") for each in listed)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
