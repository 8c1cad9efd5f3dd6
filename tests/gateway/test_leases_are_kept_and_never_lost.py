"""The pool: who gets a lease and when, and that none is lost whatever happens."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.gateway.errors import BusyError, UnavailableError
from penstock.gateway.leases import Lease, Replica, StaticLease, StaticSource
from penstock.gateway.pool import LeasePool, PoolSettings
from support.gateways import eventually


class Source:
    """A source that gives when it is told to."""

    def __init__(self, replicas: list[str] | None = None, *, slots: int = 0) -> None:
        self.replicas = [Replica(name, f"http://{name}", "t") for name in replicas or ["a"]]
        self.slots = asyncio.Semaphore(slots)
        self.taking = 0
        self.taken: list[Lease] = []
        self.returned: list[Lease] = []
        self.failures = 0

    async def take(self) -> Lease:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the cluster is away")
        self.taking += 1
        try:
            await self.slots.acquire()
        finally:
            self.taking -= 1
        lease = StaticLease(self.replicas[len(self.taken) % len(self.replicas)])
        self.taken.append(lease)
        return lease

    async def give_back(self, lease: Lease) -> None:
        await asyncio.sleep(0)
        assert lease not in self.returned, "given back twice"
        self.returned.append(lease)

    @property
    def out(self) -> int:
        return len(self.taken) - len(self.returned)


def pool_of(source: Source | StaticSource, **bounds: float) -> LeasePool:
    return LeasePool("demo", source, PoolSettings(**bounds))  # type: ignore[arg-type]


async def test_a_finished_lease_serves_the_next_request():
    source = Source(slots=1)
    pool = pool_of(source)
    first = await pool.acquire()
    assert (pool.lent, pool.idle) == (1, 0)
    pool.release(first)
    assert (pool.lent, pool.idle) == (0, 1)
    assert await pool.acquire() is first
    pool.release(first)
    await pool.close()
    assert source.out == 0


async def test_a_lease_that_nobody_uses_is_given_back():
    source = Source(slots=1)
    pool = pool_of(source, keep=0.05)
    pool.release(await pool.acquire())
    await eventually(lambda: source.out == 0)
    assert pool.idle == 0
    await pool.close()


async def test_an_old_lease_is_given_back_however_much_it_is_used():
    source = Source(slots=10)
    pool = pool_of(source, renew=0.05)
    async with asyncio.timeout(60):
        while not source.returned:
            pool.release(await pool.acquire())
            await asyncio.sleep(0.005)
    await pool.close()
    assert source.out == 0


async def test_waiting_requests_are_served_in_their_order():
    source = Source()
    pool = pool_of(source)
    order: list[int] = []

    async def one(number: int) -> None:
        lent = await pool.acquire()
        order.append(number)
        pool.release(lent)

    tasks = []
    for number in range(5):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0)
    assert pool.waiting == 5
    source.slots.release()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    await pool.close()
    assert source.out == 0


async def test_a_lease_for_a_request_that_left_serves_the_next_one():
    source = Source()
    pool = pool_of(source)
    left = asyncio.create_task(pool.acquire())
    stays = asyncio.create_task(pool.acquire())
    await eventually(lambda: source.taking == 2)
    left.cancel()
    await asyncio.wait([left])
    source.slots.release()
    pool.release(await stays)
    await pool.close()
    assert source.out == 0


async def test_when_nobody_waits_any_more_nothing_is_asked_for():
    source = Source()
    pool = pool_of(source, moment=0.02)
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(3)]
    await eventually(lambda: source.taking == 3)
    waiting[0].cancel()
    await eventually(lambda: source.taking == 2)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await eventually(lambda: source.taking == 0)
    await pool.close()


async def test_a_request_over_the_bound_is_refused_and_those_held_are_not():
    pool = pool_of(source := Source(), hold_requests=2, moment=0.02)
    tasks = [asyncio.create_task(pool.acquire()) for _ in range(5)]
    await eventually(lambda: sum(task.done() for task in tasks) == 3)
    for task in tasks[2:]:
        with pytest.raises(BusyError, match="2 requests wait"):
            task.result()
    source.slots.release()
    source.slots.release()
    for task in tasks[:2]:
        pool.release(await task)
    await pool.close()


async def test_a_burst_that_is_served_in_a_moment_is_not_refused():
    pool = pool_of(source := Source(slots=500), hold_requests=2)
    for lent in await asyncio.gather(*[pool.acquire() for _ in range(500)]):
        pool.release(lent)
    await pool.close()
    assert source.out == 0


async def test_a_crowd_before_a_ready_replica_is_not_refused_while_the_first_lease_is_on_its_way():
    source = Source(slots=0)
    pool = LeasePool("demo", source, PoolSettings(moment=0.01, hold_requests=2), ready=lambda: True)
    crowd = [asyncio.create_task(pool.acquire()) for _ in range(10)]
    await asyncio.wait(crowd, timeout=0.1)
    assert [task.done() for task in crowd] == [False] * 10
    assert pool.held == 0
    for _ in crowd:
        source.slots.release()
    for one in await asyncio.gather(*crowd):
        pool.release(one)
    await pool.close()
    assert source.out == 0


async def test_a_ready_replica_that_nobody_finds_is_not_waited_for_for_ever():
    settings = PoolSettings(moment=0.01, meeting=0.05, hold_requests=2)
    pool = LeasePool("demo", source := Source(slots=0), settings, ready=lambda: True)
    crowd = [asyncio.create_task(pool.acquire()) for _ in range(5)]
    await eventually(lambda: sum(task.done() for task in crowd) == 3)
    assert all(isinstance(task.exception(), BusyError) for task in crowd if task.done())
    await pool.close()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert source.out == 0


async def test_a_crowd_that_is_let_in_one_by_one_is_not_refused():
    source = Source(slots=0)
    pool = pool_of(source, moment=1.0, hold_requests=2)
    crowd = [asyncio.create_task(pool.acquire()) for _ in range(15)]
    for _ in crowd:
        # Slower than a moment in all, while each lease comes soon after the one before it.
        await asyncio.sleep(0.1)
        source.slots.release()
    lent = await asyncio.gather(*crowd)
    for one in lent:
        pool.release(one)
    await pool.close()


async def test_a_crowd_before_full_replicas_is_refused_though_requests_end():
    source = Source(slots=1)
    pool = pool_of(source, moment=0.02, hold_requests=2)
    lent = await pool.acquire()
    crowd = [asyncio.create_task(pool.acquire()) for _ in range(8)]
    refused: list[BaseException] = []
    for _ in range(3):
        await asyncio.sleep(0.03)
        pool.release(lent)
        done, _ = await asyncio.wait(crowd, timeout=0)
        refused = [task.exception() for task in done if task.exception()]  # type: ignore[misc]
        lent = next(task.result() for task in done if not task.exception() and task.result() is lent)
    await eventually(lambda: sum(task.done() for task in crowd) >= 6)
    refused = [task.exception() for task in crowd if task.done() and task.exception()]  # type: ignore[misc]
    assert refused
    assert all(isinstance(error, BusyError) for error in refused)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    pool.release(lent)
    await pool.close()


async def test_a_request_is_held_no_longer_than_the_bound():
    pool = pool_of(Source(), hold_seconds=0.05, moment=0.02)
    with pytest.raises(UnavailableError, match=r"within 0\.05 s") as caught:
        await pool.acquire()
    assert caught.value.retry_after
    assert pool.waiting == 0
    await pool.close()


async def test_a_replica_that_broke_is_left_alone():
    source = Source(["a", "b"], slots=100)
    pool = pool_of(source)
    lent = await pool.acquire()
    assert lent.replica_id == "a"
    pool.release(lent, broken=True)
    for _ in range(4):
        held = [await pool.acquire() for _ in range(3)]
        assert {lent.replica_id for lent in held} == {"b"}
        for lent in held:
            pool.release(lent)
    await pool.close()
    assert source.out == 0


async def test_idle_leases_on_a_replica_that_broke_are_given_back():
    source = Source(["a"], slots=100)
    pool = pool_of(source)
    held = [await pool.acquire() for _ in range(3)]
    for lent in held[:2]:
        pool.release(lent)
    assert pool.idle == 2
    pool.release(held[2], broken=True)
    assert pool.idle == 0
    await pool.close()
    assert source.out == 0


async def test_where_all_replicas_broke_requests_wait_for_another(monkeypatch):
    monkeypatch.setattr("penstock.gateway.quarantine.FIRST", 0.1)
    source = Source(["a"], slots=1000)
    pool = pool_of(source)
    pool.release(await pool.acquire(), broken=True)
    began = asyncio.get_running_loop().time()
    pool.release(await pool.acquire())
    assert asyncio.get_running_loop().time() - began >= 0.09
    await pool.close()
    assert source.out == 0


async def test_a_source_that_fails_is_asked_again():
    source = Source(slots=1)
    source.failures = 2
    pool = pool_of(source)
    pool.release(await asyncio.wait_for(pool.acquire(), 60))
    await pool.close()
    assert source.out == 0


async def test_a_closed_pool_refuses_those_who_wait_and_those_who_come():
    pool = pool_of(source := Source())
    waiting = asyncio.create_task(pool.acquire())
    await eventually(lambda: source.taking == 1)
    await pool.close()
    for request in (waiting, pool.acquire()):
        with pytest.raises(UnavailableError):
            await request
    assert source.taking == 0


async def test_closing_waits_for_the_last_request():
    source = Source(slots=1)
    pool = pool_of(source)
    lent = await pool.acquire()
    closing = asyncio.create_task(pool.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    pool.release(lent)
    await closing
    assert source.out == 0


async def test_a_lease_that_cannot_be_given_back_does_no_harm(monkeypatch):
    source = Source(slots=2)
    pool = pool_of(source)

    async def fail(lease: Lease) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(source, "give_back", fail)
    pool.release(await pool.acquire(), broken=True)
    await pool.close()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 12))
def test_no_lease_is_lost_whatever_is_cancelled_and_whatever_breaks(seed: int, replicas: int, slots: int) -> None:
    asyncio.run(_storm(random.Random(seed), replicas, slots))


def test_what_is_cancelled_and_what_breaks_leaves_requests_that_are_served() -> None:
    assert sum(asyncio.run(_storm(random.Random(seed), 2, 6)) for seed in range(20)) > 0


async def _storm(chance: random.Random, replicas: int, slots: int) -> int:
    """How many were served. A slow machine may serve nobody in time."""
    source = _Flaky(chance, [f"r{number}" for number in range(replicas)], slots)
    pool = pool_of(source, keep=0.005, renew=0.02, moment=0.005, hold_requests=8, hold_seconds=0.05)
    served = 0

    async def request() -> None:
        nonlocal served
        await asyncio.sleep(chance.random() * 0.02)
        try:
            lent = await pool.acquire()
        except (BusyError, UnavailableError):
            return
        try:
            served += 1
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.005]))
        finally:
            pool.release(lent, broken=chance.random() < 0.1)

    tasks = [asyncio.create_task(request()) for _ in range(60)]
    for task in chance.sample(tasks, 25):
        await asyncio.sleep(chance.choice([0, 0, 0.001]))
        task.cancel()
    await asyncio.wait(tasks)
    assert pool.lent == pool.waiting == 0
    await asyncio.wait_for(pool.close(), 60)
    assert source.out == 0
    assert source.taking == 0
    return served


class _Flaky(Source):
    """Takes a while, has few slots, and sometimes fails."""

    def __init__(self, chance: random.Random, replicas: list[str], slots: int) -> None:
        super().__init__(replicas, slots=slots)
        self._chance = chance

    async def take(self) -> Lease:
        await asyncio.sleep(self._chance.choice([0, 0.001, 0.003]))
        if self._chance.random() < 0.1:
            raise ConnectionError
        return await super().take()

    async def give_back(self, lease: Lease) -> None:
        await super().give_back(lease)
        self.slots.release()


async def test_a_list_of_addresses_gives_the_least_used():
    source = StaticSource([Replica(name, f"http://{name}", "t") for name in "abc"])
    leases = [await source.take() for _ in range(4)]
    assert sorted(lease.replica.id for lease in leases[:3]) == ["a", "b", "c"]
    await source.give_back(leases[1])
    await source.give_back(leases[0])
    assert source.in_use == 2
    assert (await source.take()).replica.id == leases[1].replica.id


async def test_an_empty_list_of_addresses_is_waited_for():
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(StaticSource([]).take(), 0.02)


def test_a_token_is_in_no_repr() -> None:
    assert "s3cret" not in repr(Replica("a", "http://a", "s3cret"))
