"""When an issuer is asked for its keys, and how long they go on without it. The time is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from penstock.accounts.errors import IssuerError, RefusedKeyError
from penstock.accounts.oidc_keys import TRY_AGAIN, UNKNOWN_PAUSE, IssuerKeys, Jwk

REFRESH, OUTAGE = 60.0, 600.0


class World:
    """An issuer, a clock, and what a gateway knows of the issuer's keys."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: list[Jwk] = [{"kid": "a"}]
        self.away = False
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.keys = IssuerKeys(self.fetch, refresh=REFRESH, outage=OUTAGE, clock=lambda: self.now)

    async def fetch(self) -> Sequence[Jwk]:
        self.asked += 1
        await self.may_answer.wait()
        if self.away:
            raise IssuerError("The issuer is away.")
        return list(self.shown)

    async def settled(self) -> None:
        """Until nobody asks any more."""
        while self.keys._task is not None:
            await asyncio.wait([self.keys._task])


@pytest.fixture
def world() -> World:
    return World()


async def test_keys_are_fetched_once_and_anew_in_the_background(world: World):
    assert await world.keys.find("a") == {"kid": "a"}
    world.now = REFRESH - 1
    await world.keys.find("a")
    assert world.asked == 1
    world.now = REFRESH
    world.may_answer.clear()
    assert await world.keys.find("a") == {"kid": "a"}, "nobody waits for what is not needed yet"
    assert await world.keys.find("a") == {"kid": "a"}
    world.may_answer.set()
    await world.settled()
    assert world.asked == 2


async def test_many_who_come_at_once_ask_once_and_one_who_leaves_takes_nothing_along(world: World):
    world.may_answer.clear()
    tasks = [asyncio.create_task(world.keys.find("a")) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    world.may_answer.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [{"kid": "a"}] * 19
    assert world.asked == 1


async def test_a_key_that_is_not_known_is_asked_for_once_in_a_while(world: World):
    await world.keys.load()
    world.now = UNKNOWN_PAUSE
    world.shown = [{"kid": "a"}, {"kid": "b"}]
    assert await world.keys.find("b") == {"kid": "b"}
    for _ in range(10):
        with pytest.raises(RefusedKeyError):
            await world.keys.find("made-up")
    assert world.asked == 2
    world.now = 2 * UNKNOWN_PAUSE
    with pytest.raises(RefusedKeyError):
        await world.keys.find("made-up")
    assert world.asked == 3


async def test_another_generation_is_other_keys_and_nothing_else(world: World):
    await world.keys.load()
    first = world.keys.generation
    await world.keys.load()
    assert world.keys.generation == first
    world.shown = [{"kid": "b"}]
    await world.keys.load()
    assert world.keys.generation != first
    with pytest.raises(RefusedKeyError):
        await world.keys.find("a")


async def test_known_keys_go_on_without_the_issuer_for_so_long_and_no_longer(world: World):
    await world.keys.load()
    world.away = True
    for world.now in (REFRESH, REFRESH + OUTAGE - 1):
        assert await world.keys.find("a") == {"kid": "a"}
        await world.settled()
    world.now = REFRESH + OUTAGE
    with pytest.raises(IssuerError):
        await world.keys.find("a")
    world.away = False
    world.now += TRY_AGAIN
    assert await world.keys.find("a") == {"kid": "a"}


async def test_an_issuer_that_is_away_is_asked_once_a_second_however_many_come(world: World):
    world.away = True
    for world.now in (0.0, 0.1, 0.2, TRY_AGAIN - 0.1):
        with pytest.raises(IssuerError):
            await world.keys.find("a")
    assert world.asked == 1
    world.now = TRY_AGAIN
    with pytest.raises(IssuerError):
        await world.keys.find("a")
    assert world.asked == 2


async def test_a_key_that_is_not_known_is_not_refused_while_the_issuer_cannot_be_asked(world: World):
    await world.keys.load()
    world.away = True
    world.now = UNKNOWN_PAUSE
    for _ in range(3):
        with pytest.raises(IssuerError):
            await world.keys.find("new")
    assert world.asked == 2
    assert await world.keys.find("a") == {"kid": "a"}


async def test_closing_ends_a_question_in_progress(world: World):
    world.may_answer.clear()
    waiting = asyncio.create_task(world.keys.find("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.keys.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
