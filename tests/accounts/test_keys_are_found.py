"""The directory with a made-up store and virtual time: what it asks, what it trusts, what it refuses."""

from __future__ import annotations

import asyncio

import pytest

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.directory import AT_ONCE, NEW_KEYS_BURST, Directory
from penstock.accounts.errors import RefusedKeyError, StoreError, TooManyUnknownKeysError
from support.gateways import eventually

LIFE, OUTAGE = 4.0, 60.0
KEY = secret.new_key().encode()
ALICE = Account(id="key_a", name="alice", owner="research")


class MadeUpStore:
    """Answers at once, or when it is told to, or not at all."""

    def __init__(self, **accounts: Account) -> None:
        self.accounts: dict[bytes, Account] = {}
        self.asked: list[bytes] = []
        self.in_progress = self.most_at_once = 0
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def find(self, digest: bytes) -> Account | None:
        self.asked.append(digest)
        self.in_progress += 1
        self.most_at_once = max(self.most_at_once, self.in_progress)
        try:
            await self.gate.wait()
            if self.away:
                raise StoreError("the store is away")
            return self.accounts.get(digest)
        finally:
            self.in_progress -= 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self) -> None:
        self.store = MadeUpStore()
        self.store.accounts[secret.digest(KEY)] = ALICE
        self.clock, self.wall = Clock(), Clock()
        self.directory = Directory(self.store, life=LIFE, outage=OUTAGE, clock=self.clock, wall=self.wall)

    async def refusal(self, key: bytes) -> str:
        with pytest.raises(RefusedKeyError) as caught:
            await self.directory.find(key)
        return caught.value.reason

    async def idle(self) -> None:
        await eventually(lambda: not self.directory._asking)


@pytest.fixture
async def world():
    made = World()
    yield made
    made.store.gate.set()
    await made.directory.close()


async def test_a_known_key_is_looked_up_once_in_its_life(world: World):
    for _ in range(100):
        assert await world.directory.find(KEY) is ALICE
    assert len(world.store.asked) == 1


async def test_a_key_in_use_is_looked_up_anew_without_anybody_waiting(world: World):
    await world.directory.find(KEY)
    world.store.gate.clear()
    world.clock.now += LIFE / 2
    for _ in range(10):
        assert await world.directory.find(KEY) is ALICE
    await eventually(lambda: len(world.store.asked) == 2)
    world.store.gate.set()
    await world.idle()
    world.clock.now += LIFE / 2
    assert await world.directory.find(KEY) is ALICE


async def test_a_revoked_key_is_refused_when_its_life_is_over(world: World):
    await world.directory.find(KEY)
    world.store.accounts.clear()
    world.clock.now += LIFE
    assert await world.refusal(KEY) == "unknown"


async def test_a_revoked_key_in_use_is_refused_when_its_life_is_over(world: World):
    await world.directory.find(KEY)
    world.store.accounts.clear()
    world.clock.now += LIFE / 2
    await world.directory.find(KEY)
    await world.idle()
    assert await world.refusal(KEY) == "unknown"


async def test_an_answer_is_as_old_as_its_question(world: World):
    world.store.gate.clear()
    asking = asyncio.create_task(world.directory.find(KEY))
    await eventually(lambda: bool(world.store.asked))
    world.clock.now += LIFE
    world.store.gate.set()
    assert await asking is ALICE
    world.store.accounts.clear()
    assert await world.refusal(KEY) == "unknown"


async def test_many_requests_with_one_new_key_are_one_look_up(world: World):
    world.store.gate.clear()
    asking = [asyncio.create_task(world.directory.find(KEY)) for _ in range(500)]
    await eventually(lambda: bool(world.store.asked))
    world.store.gate.set()
    assert await asyncio.gather(*asking) == [ALICE] * 500
    assert len(world.store.asked) == 1


async def test_a_client_that_leaves_takes_no_answer_from_the_others(world: World):
    world.store.gate.clear()
    leaving = asyncio.create_task(world.directory.find(KEY))
    staying = asyncio.create_task(world.directory.find(KEY))
    await eventually(lambda: bool(world.store.asked))
    leaving.cancel()
    await asyncio.wait([leaving])
    world.store.gate.set()
    assert await staying is ALICE


async def test_a_wrong_key_is_looked_up_once_in_a_life(world: World):
    wrong = secret.new_key().encode()
    for _ in range(100):
        assert await world.refusal(wrong) == "unknown"
    assert len(world.store.asked) == 1


async def test_a_new_key_counts_when_the_memory_of_its_absence_ends(world: World):
    new = secret.new_key().encode()
    assert await world.refusal(new) == "unknown"
    world.store.accounts[secret.digest(new)] = ALICE
    world.clock.now += LIFE
    assert await world.directory.find(new) is ALICE


@pytest.mark.parametrize(
    "key",
    [b"", b"none", b"psk_", KEY[:-1], KEY + b"0", b"x" * 10**6, b"\xff" * 42],
    ids=["nothing", "a word", "the prefix", "one character less", "one more", "a million", "no text"],
)
async def test_what_is_no_whole_key_never_reaches_the_store(world: World, key: bytes):
    assert await world.refusal(key) == "malformed"
    assert world.store.asked == []


async def test_a_flood_of_wrong_keys_reaches_the_store_up_to_a_bound(world: World):
    refused = unasked = 0
    for _ in range(int(NEW_KEYS_BURST) + 500):
        try:
            await world.directory.find(secret.new_key().encode())
        except RefusedKeyError:
            refused += 1
        except TooManyUnknownKeysError:
            unasked += 1
    assert (refused, unasked) == (NEW_KEYS_BURST, 500)
    assert len(world.store.asked) == NEW_KEYS_BURST


async def test_a_flood_of_wrong_keys_does_not_reach_known_ones(world: World):
    await world.directory.find(KEY)
    for _ in range(int(NEW_KEYS_BURST) + 1):
        with pytest.raises((RefusedKeyError, TooManyUnknownKeysError)):
            await world.directory.find(secret.new_key().encode())
    world.clock.now += LIFE * 2
    world.directory._newcomers._left = 0.0
    assert await world.directory.find(KEY) is ALICE


async def test_the_store_is_asked_for_a_few_keys_at_once(world: World):
    world.store.gate.clear()
    asking = [asyncio.create_task(world.refusal(secret.new_key().encode())) for _ in range(50)]
    await eventually(lambda: world.store.in_progress == AT_ONCE)
    world.store.gate.set()
    await asyncio.gather(*asking)
    assert world.store.most_at_once == AT_ONCE
    assert len(world.store.asked) == 50


async def test_while_the_store_is_away_known_keys_go_on_for_a_bounded_time(world: World):
    await world.directory.find(KEY)
    began = world.clock.now
    world.store.away = True
    while world.clock.now - began < OUTAGE - 1:
        assert await world.directory.find(KEY) is ALICE
        world.clock.now += 0.5
        await world.idle()
    world.clock.now = began + OUTAGE
    with pytest.raises(StoreError):
        await world.directory.find(KEY)


async def test_nobody_waits_for_a_store_that_is_known_to_be_away(world: World):
    await world.directory.find(KEY)
    world.store.away = True
    world.clock.now += LIFE
    await world.directory.find(KEY)
    world.store.gate.clear()
    for _ in range(5):
        world.clock.now += 2.0
        assert await world.directory.find(KEY) is ALICE


async def test_an_unknown_key_is_told_of_the_store_that_is_away(world: World):
    world.store.away = True
    for _ in range(20):
        with pytest.raises(StoreError):
            await world.directory.find(secret.new_key().encode())
    assert len(world.store.asked) == 1, "it was asked although it had just not answered"
    world.store.away = False
    world.clock.now += 1.0
    assert await world.directory.find(KEY) is ALICE


async def test_a_store_that_never_answers_is_waited_for_in_vain(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("penstock.accounts.directory.PATIENCE", 0.01)
    world.store.gate.clear()
    with pytest.raises(StoreError, match="did not answer within"):
        await world.directory.find(KEY)


async def test_a_key_revoked_during_an_outage_is_refused_once_the_store_is_back(world: World):
    await world.directory.find(KEY)
    world.store.away = True
    world.clock.now += LIFE
    assert await world.directory.find(KEY) is ALICE
    world.store.away = False
    world.store.accounts.clear()
    world.clock.now += 1.0
    await world.directory.find(KEY)
    await world.idle()
    assert await world.refusal(KEY) == "unknown"


async def test_a_key_ends_at_its_time_however_fresh_its_memory_is(world: World):
    ending = secret.new_key().encode()
    world.store.accounts[secret.digest(ending)] = Account(id="e", name="e", owner="o", until=world.wall.now + 1)
    assert (await world.directory.find(ending)).id == "e"
    world.wall.now += 1
    assert await world.refusal(ending) == "expired"


async def test_a_disabled_key_is_refused(world: World):
    world.store.accounts[secret.digest(KEY)] = Account(id="d", name="d", owner="o", disabled=True)
    assert await world.refusal(KEY) == "disabled"


async def test_listed_keys_need_no_store_and_are_replaced_by_place(world: World):
    world.store.away = True
    mine, yours = Account(id="document:m", name="m", owner="o"), Account(id="file:y", name="y", owner="o")
    world.directory.replace("document", {secret.digest(b"one"): mine})
    world.directory.replace("file", {secret.digest(b"two"): yours})
    assert await world.directory.find(b"one") is mine
    assert await world.directory.find(b"two") is yours
    assert world.directory.listed == [mine, yours]
    world.directory.replace("document", {})
    assert await world.refusal(b"one") == "malformed"
    assert await world.directory.find(b"two") is yours


async def test_without_a_store_an_unknown_key_is_unknown():
    directory = Directory(None, life=LIFE, outage=OUTAGE)
    with pytest.raises(RefusedKeyError) as caught:
        await directory.find(KEY)
    assert caught.value.reason == "unknown"
