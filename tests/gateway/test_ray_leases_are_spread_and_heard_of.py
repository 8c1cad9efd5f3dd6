"""Leases by a real Ray Serve: a burst is spread over the replicas, and who leaves before there is one is forgotten."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
import ray
from ray import serve

from penstock.engine.deployment import ROUTER
from penstock.gateway.ray_leases import RayLease, RayLeaseSource
from support.gateways import eventually

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
BURST = 16
FULL = 100


class Stub:
    """Stands where an engine's replica would."""

    def record_replica_metadata(self) -> dict[str, Any]:
        return {"base_url": "http://127.0.0.1:1", "token": "t"}


def _deploy(name: str, **options: Any) -> None:
    stub = serve.deployment(Stub, name="engine", request_router_config=ROUTER, **options)
    serve.run(stub.bind(), name=name, route_prefix=None)


@pytest.fixture(scope="module")
def running_penstock() -> Iterator[Run[Any]]:
    """Ray with replicas that do nothing, and the loop of a gateway that is there as long as Ray is."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # replicas cannot import a module of the tests
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        serve.start(proxy_location="Disabled")
        never = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1, "upscale_delay_s": 3600}
        _deploy("asleep", autoscaling_config=never)
        _deploy("single", num_replicas=1, max_ongoing_requests=1)
        _deploy("pair", num_replicas=2, max_ongoing_requests=FULL)
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(300)
    finally:
        serve.shutdown()
        ray.shutdown()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def _router(source: RayLeaseSource) -> Any:
    assert source._handle is not None
    router: Any = source._handle._router
    return router._asyncio_router


def _queued(source: RayLeaseSource) -> int:
    """Requests that Ray's router says it waits for."""
    return int(_router(source)._metrics_manager.num_queued_requests)


async def _burst(source: RayLeaseSource, count: int) -> list[RayLease]:
    return await asyncio.gather(*(source.take() for _ in range(count)))


async def _return(source: RayLeaseSource, leases: list[RayLease]) -> None:
    await asyncio.gather(*(source.give_back(lease) for lease in leases))


def test_a_burst_is_spread_over_both_replicas(running_penstock: Run[None]) -> None:
    async def spread() -> None:
        source = RayLeaseSource("pair", "engine")
        await _return(source, await _burst(source, 1))
        await eventually(lambda: len(_router(source).request_router.curr_replicas) == 2)
        for _ in range(5):
            leases = await _burst(source, BURST)
            shares = Counter(lease.replica.id for lease in leases)
            await _return(source, leases)
            assert len(shares) == 2, shares
            assert min(shares.values()) >= BURST // 4, shares

    running_penstock(spread())


def test_replicas_are_filled_to_their_limit_and_no_further(running_penstock: Run[None]) -> None:
    async def fill() -> None:
        source = RayLeaseSource("pair", "engine")
        leases = await _burst(source, 2 * FULL)
        assert set(Counter(lease.replica.id for lease in leases).values()) == {FULL}
        one_more = asyncio.create_task(source.take())
        await eventually(lambda: _queued(source) == 1)
        await source.give_back(leases.pop())
        leases.append(await one_more)
        await _return(source, leases)

    running_penstock(fill())


def test_who_leaves_before_a_replica_comes_is_forgotten(running_penstock: Run[None]) -> None:
    async def leave() -> None:
        source = RayLeaseSource("asleep", "engine")
        takes = [asyncio.create_task(source.take()) for _ in range(5)]
        await eventually(lambda: source._handle is not None and _queued(source) == 5)
        for take in takes[1:]:
            take.cancel()
        await eventually(lambda: _queued(source) == 1)
        router = _router(source).request_router
        assert len(router._pending_requests_to_fulfill) == len(router._pending_requests_to_route) == 1
        takes[0].cancel()
        await asyncio.gather(*takes, return_exceptions=True)
        await eventually(lambda: _queued(source) == 0)
        assert not router._pending_requests_to_fulfill

    running_penstock(leave())


def test_a_take_that_is_cancelled_before_a_full_replica_holds_nothing(running_penstock: Run[None]) -> None:
    async def leave() -> None:
        source = RayLeaseSource("single", "engine")
        lease = await source.take()
        for _ in range(3):
            waiting = asyncio.create_task(source.take())
            await eventually(lambda: _queued(source) == 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await source.give_back(lease)
        for _ in range(3):
            await source.give_back(await source.take())

    running_penstock(leave())
