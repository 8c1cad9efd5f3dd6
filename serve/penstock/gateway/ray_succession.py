"""Waits until a gateway of a new Ray cluster takes over. Thin; used by `deployment` on Kubernetes.

Later gateways of the same Ray cluster need not wait: its key-value store remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection

import aiohttp
from ray import serve
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
from ray.serve.schema import ApplicationStatus

from penstock.gateway.succession import Succession

LOOK = 1.0
"""Seconds between two looks."""
_KEY = "gateways/took-over"
_NAMESPACE = b"penstock"
_LIMIT = aiohttp.ClientTimeout(total=2.0)


async def until_it_takes_over(wanted: Callable[[], Collection[str]], url: str) -> None:
    """Return when this gateway takes requests.

    Args:
        wanted: applications of the models.
        url: where clients reach the ready gateways of all Ray clusters.
    """
    succession = Succession()
    while True:
        # Serve's controller and Ray's control store may be away for a while; so long nothing is decided.
        with contextlib.suppress(Exception):
            if await _took_over():
                return
            if succession.note(await _running_applications(), wanted(), served=await is_served(url)):
                await _remember()
                return
        await asyncio.sleep(LOOK)


async def _took_over() -> bool:
    return await asyncio.to_thread(_internal_kv_get, _KEY, namespace=_NAMESPACE) is not None


async def _remember() -> None:
    await asyncio.to_thread(_internal_kv_put, _KEY, b"1", overwrite=True, namespace=_NAMESPACE)


async def _running_applications() -> set[str]:
    status = await asyncio.to_thread(serve.status)
    return {name for name, found in status.applications.items() if found.status == ApplicationStatus.RUNNING}


async def is_served(url: str) -> bool:
    """Whether a ready gateway answers at the address. On a connection of its own, which may go to any of them."""
    try:
        async with aiohttp.ClientSession(timeout=_LIMIT) as session, session.get(f"{url}/readyz") as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
