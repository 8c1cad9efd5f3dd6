"""What a request has used that nobody waits for any more: the engine is told to stop it, and its last words are read.
Used by `attempt` where requests are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from penstock import aborting
from penstock.gateway.engine_client import EngineAnswer, EngineClient
from penstock.gateway.engine_connection import EngineBrokeError
from penstock.gateway.headers import REQUEST_ID, Header
from penstock.gateway.leases import Replica
from penstock.gateway.meter import Meter

PATIENCE: Final = 5.0
"""Seconds that an engine has to end an answer. After that it is cut off, and its tokens are guessed."""
AGAIN: Final = 0.1
"""Seconds after which it is told again: the first word may have come before the request."""

STOPPED: Final = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"})
"""Endpoints whose requests can be stopped. The others are over in one step of the engine."""


async def settle(
    client: EngineClient,
    replica: Replica,
    engine_id: bytes,
    endpoint: str,
    *,
    sending: asyncio.Task[EngineAnswer],
    meter: Meter,
) -> bool:
    """Have the answer ended, and read the rest of it into the meter. Cuts it off where it does not end in time.

    Args:
        sending: gives the answer's head. The answer is closed here.

    Returns whether the engine ended it.
    """
    loop = asyncio.get_running_loop()
    stopper = loop.create_task(_stop(client, replica, engine_id)) if endpoint in STOPPED else None
    answer: EngineAnswer | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await sending
            while chunk := await answer.read():
                meter.feed(chunk)
    except (TimeoutError, EngineBrokeError):
        return False
    finally:
        if stopper is not None:
            stopper.cancel()
        if answer is not None:
            answer.close()
    return True


async def _stop(client: EngineClient, replica: Replica, engine_id: bytes) -> None:
    """Tell the engine again and again, until somebody cancels this."""
    headers: list[Header] = [
        (b"authorization", b"Bearer " + replica.token.encode()),
        (b"content-length", b"0"),
        (REQUEST_ID, engine_id),
    ]
    while True:
        with contextlib.suppress(EngineBrokeError):
            answer = await client.send(replica, aborting.PATH, headers, b"")
            try:
                await answer.read()
            finally:
                answer.close()
        await asyncio.sleep(AGAIN)
