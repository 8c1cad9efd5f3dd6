"""The queue before a model's replicas: order, bounds, and that it knows the difference of a crowd and a famine."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.errors import BusyError, GatewayError, UnavailableError
from penstock.gateway.leases import Lease, Replica, StaticLease
from penstock.gateway.pool import LeasePool, PoolSettings
from penstock.gateway.waiting import HoldBounds, WaitingQueue
from support.gateways import RecordingSource, eventually

NEVER = 3600.0


class Refusals:
    def full(self, held: int) -> GatewayError:
        return BusyError(f"{held}")

    def too_long(self) -> GatewayError:
        return UnavailableError("too long")


def queue(
    requests: int = 2, *, seconds: float = NEVER, moment: float = NEVER, starved: bool = True, coming: bool = False
) -> WaitingQueue[int]:
    bounds = HoldBounds(requests, seconds, moment)
    return WaitingQueue(bounds, Refusals(), coming=lambda: coming, starved=lambda: starved)


async def test_where_there_is_no_replica_a_request_over_the_bound_is_refused_at_once() -> None:
    waiting = queue(2)
    first, _ = waiting.enter(), waiting.enter()
    assert (len(waiting), waiting.held) == (2, 2)
    with pytest.raises(BusyError):
        waiting.enter()
    waiting.leave(first)
    waiting.enter()
    with pytest.raises(BusyError):
        waiting.enter()
    assert len(waiting) == 2


async def test_where_replicas_are_full_a_request_over_the_bound_is_refused_at_once() -> None:
    waiting = queue(1, moment=0.01, starved=False)
    waiting.enter()
    await eventually(lambda: waiting.held == 1)
    with pytest.raises(BusyError):
        waiting.enter()


async def test_a_crowd_that_is_let_in_is_not_refused() -> None:
    waiting = queue(1, moment=0.01, starved=False, coming=True)
    crowd = [waiting.enter() for _ in range(50)]
    await asyncio.sleep(0.05)
    assert waiting.held == 0
    assert not any(waiter.future.done() for waiter in crowd)


async def test_a_crowd_that_is_let_in_too_slowly_is_refused_when_its_time_is_over() -> None:
    waiting = queue(1, moment=0.01, seconds=0.05, starved=False, coming=True)
    with pytest.raises(UnavailableError):
        await waiting.enter().future


async def test_without_any_bound_a_free_replica_has_its_moment() -> None:
    assert queue(0, starved=False).enter()
    with pytest.raises(BusyError):
        queue(0).enter()


async def test_a_request_whose_replica_broke_comes_first_and_is_never_refused_for_want_of_room() -> None:
    waiting = queue(1)
    other = waiting.enter()
    again = waiting.enter(again=True)
    assert waiting.next() is again
    assert waiting.next() is other
    assert waiting.next() is None


async def test_time_that_was_waited_before_counts() -> None:
    waiting = queue(seconds=1000.0)
    with pytest.raises(UnavailableError):
        await waiting.enter(again=True, waited=1000.0).future


@given(st.lists(st.sampled_from(["enter", "again", "leave", "serve"]), max_size=60), st.integers(0, 5))
def test_the_bound_holds_whatever_happens_and_the_order_is_kept(steps: list[str], bound: int) -> None:
    async def run() -> None:
        waiting = queue(bound)
        model: list[tuple[bool, object]] = []  # what waits, in its order
        for step in steps:
            ordinary = sum(not again for again, _ in model)
            if step == "enter":
                if len(model) >= bound:
                    with pytest.raises(BusyError):
                        waiting.enter()
                else:
                    model.append((False, waiting.enter()))
            elif step == "again":
                model.insert(0, (True, waiting.enter(again=True)))
            elif model and step == "leave":
                waiting.leave(model.pop(len(model) // 2)[1])  # type: ignore[arg-type]
            elif model and step == "serve":
                served = waiting.next()
                assert served is model.pop(0)[1]
                waiting.leave(served)
            assert len(waiting) == waiting.held == len(model)
            assert ordinary <= bound
        for _, waiter in model:
            waiting.leave(waiter)  # type: ignore[arg-type]

    asyncio.run(run())


async def test_models_do_not_wait_for_each_other() -> None:
    asleep, awake = RecordingSource([Replica("a", "http://a", "t")]), RecordingSource([Replica("b", "http://b", "t")])
    asleep.there.clear()
    full = LeasePool("asleep", asleep, PoolSettings(hold_requests=3), ready=lambda: False)
    other = LeasePool("awake", awake, PoolSettings(hold_requests=3))
    held = [asyncio.create_task(full.acquire()) for _ in range(3)]
    await eventually(lambda: full.held == 3)
    with pytest.raises(BusyError):
        await full.acquire()
    for _ in range(20):
        other.release(await other.acquire())
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    await asyncio.gather(full.close(), other.close())


async def test_a_lease_says_more_than_a_board_that_is_late() -> None:
    source = RecordingSource([Replica("a", "http://a", "t")])
    pool = LeasePool("demo", source, PoolSettings(hold_requests=1), ready=lambda: False)
    lent = await pool.acquire()
    crowd = await asyncio.gather(*[pool.acquire() for _ in range(20)])
    for one in [lent, *crowd]:
        pool.release(one)
    await pool.close()


class Rollout:
    """A source whose model is restarted: for a while Ray says that there is no such deployment."""

    def __init__(self) -> None:
        self.away = True
        self.refused = 0

    async def take(self) -> Lease:
        await asyncio.sleep(0)
        if self.away:
            self.refused += 1
            raise RuntimeError("Deployment is unavailable because it failed to deploy or is being removed.")
        return StaticLease(Replica("new", "http://new", "t"))

    async def give_back(self, lease: Lease) -> None:
        await asyncio.sleep(0)


async def test_requests_wait_while_a_model_is_restarted() -> None:
    source = Rollout()
    pool = LeasePool("demo", source, PoolSettings(), ready=lambda: False)
    held = [asyncio.create_task(pool.acquire()) for _ in range(5)]
    await eventually(lambda: source.refused >= 20)
    assert pool.held == 5
    source.away = False
    for lent in await asyncio.gather(*held):
        assert lent.replica_id == "new"
        pool.release(lent)
    await pool.close()


async def test_after_a_break_the_request_is_served_before_those_who_came_later() -> None:
    source = RecordingSource([Replica("a", "http://a", "t"), Replica("b", "http://b", "t")])
    pool = LeasePool("demo", source, PoolSettings(hold_requests=4))
    broken = await pool.acquire()
    source.there.clear()
    served: list[str] = []

    async def request(name: str, **more: bool) -> None:
        lent = await pool.acquire(**more)  # type: ignore[arg-type]
        served.append(name)
        pool.release(lent)

    later = [asyncio.create_task(request(f"later {number}")) for number in range(3)]
    await eventually(lambda: pool.waiting == len(later))
    pool.release(broken, broken=True)
    again = asyncio.create_task(request("again", again=True))
    await eventually(lambda: pool.waiting == len(later) + 1)
    source.there.set()
    await asyncio.gather(again, *later)
    assert served[0] == "again"
    await pool.close()
    assert source.taken == source.returned
