from __future__ import annotations

import asyncio

from penstock.simulator.pace import Pace


async def test_nobody_is_woken_early_and_all_of_a_tick_together():
    loop = asyncio.get_running_loop()
    pace = Pace(tick=0.01)
    moment = loop.time() + 0.02
    woken: list[float] = []

    async def wait() -> None:
        await pace.until(moment)
        woken.append(loop.time())

    await asyncio.gather(*(wait() for _ in range(50)))
    assert len(woken) == 50
    assert min(woken) >= moment
    assert not pace._sleepers


async def test_a_moment_that_is_past_costs_one_turn_of_the_loop():
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    await Pace().until(0)
    assert turns == [1]


async def test_one_that_was_cancelled_does_not_disturb_the_others():
    pace = Pace(tick=0.01)
    moment = asyncio.get_running_loop().time() + 0.02
    first, second = (asyncio.ensure_future(pace.until(moment)) for _ in "ab")
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
