"""A thousand clients of a model without replicas, through a real listener: who waits, who is refused, what is left."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from penstock.gateway.catalog import Catalog, ModelEntry, ModelState
from support.gateways import Gateway, Response, answers, ask, chat, connected, eventually, get, post, running_gateway

pytestmark = pytest.mark.integration

CROWD, BOUND = 1000, 256
ASLEEP = ModelEntry("asleep", state=ModelState(known=True, starts=(("gone", 33.0),)))
READY = ModelState(known=True, replicas_ready=1)
AWAKE = ModelEntry("awake", state=READY)


@pytest.fixture(autouse=True)
def _files_for_both_ends_of_each_connection() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * CROWD)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


FEW = 10
"""Things that may be there after a crowd and not after another: a kept connection to an engine, its task, its timer. A
leak is one for each of a thousand requests.
"""


@asynccontextmanager
async def sleeping_model() -> AsyncIterator[Gateway]:
    """And one that is awake, with a lease in hand."""
    settings = {"hold": {"requests": BOUND}, "leases": {"keep": 600, "renew": 600}}
    async with running_gateway(answers, settings=settings, models=[ASLEEP, AWAKE]) as gateway:
        assert (await ask(gateway, post(chat("awake")))).status == 200
        gateway.source.there.clear()
        yield gateway


async def crowd_before(gateway: Gateway) -> tuple[list[Response], set[asyncio.Task[Response]]]:
    """Everybody comes at once. Who was answered, and those who wait."""
    everybody = {asyncio.create_task(ask(gateway, post(chat("asleep")))) for _ in range(CROWD)}
    pool = gateway.app.pools["asleep"]
    await eventually(lambda: sum(task.done() for task in everybody) + pool.waiting == CROWD)
    answered = {task for task in everybody if task.done()}
    return [task.result() for task in answered], everybody - answered


async def leave(gateway: Gateway, waiting: set[asyncio.Task[Response]]) -> None:
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await eventually(lambda: gateway.listener.connections == 0)


async def test_as_many_wait_as_may_and_all_others_are_refused_with_a_reason():
    async with sleeping_model() as gateway:
        refused, waiting = await crowd_before(gateway)
        assert (len(waiting), len(refused)) == (BOUND, CROWD - BOUND)
        assert gateway.source.asked == BOUND, "each that waits counts for scaling, and nobody else"
        for response in refused:
            assert (response.status, response.error["code"]) == (429, "queue_full")
            assert response.headers["x-penstock-layer"] == "pool"
            assert response.headers["retry-after"] == "33"
            assert f"{BOUND} requests wait" in response.error["message"]
        metrics = (await ask(gateway, get("/metrics"))).body.decode()
        assert f'penstock_gateway_requests_waiting{{model="asleep"}} {BOUND}.0' in metrics
        assert f'relay_errors_total{{layer="pool",reason="queue_full"}} {CROWD - BOUND}.0' in metrics
        await leave(gateway, waiting)


async def test_all_who_wait_are_answered_when_a_replica_comes():
    async with sleeping_model() as gateway:
        _, waiting = await crowd_before(gateway)
        gateway.app.reconfigure(Catalog([ModelEntry("asleep", state=READY), AWAKE]))
        gateway.source.there.set()
        assert Counter(response.status for response in await asyncio.gather(*waiting)) == {200: BOUND}
        assert gateway.app.pools["asleep"].waiting == 0


async def test_who_leaves_makes_room_at_once():
    async with sleeping_model() as gateway, connected(gateway) as last:
        _, waiting = await crowd_before(gateway)
        gone = waiting.pop()
        gone.cancel()
        await asyncio.wait([gone])
        await eventually(lambda: gateway.app.pools["asleep"].waiting == BOUND - 1)
        await last.send(post(chat("asleep")))
        await eventually(lambda: gateway.app.pools["asleep"].waiting == BOUND)
        assert (await ask(gateway, post(chat("asleep")))).status == 429
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await eventually(lambda: gateway.app.pools["asleep"].waiting == 1)


async def test_another_model_is_served_beside_a_full_queue():
    async with sleeping_model() as gateway:
        _, waiting = await crowd_before(gateway)
        for _ in range(20):
            assert (await ask(gateway, post(chat("awake")))).status == 200
        assert gateway.app.pools["asleep"].waiting == BOUND
        await leave(gateway, waiting)


async def test_nothing_grows_from_crowd_to_crowd():
    async with sleeping_model() as gateway:
        for _ in range(2):
            # What is made once (a label of a metric, say) is there after the first crowd.
            await _come_and_go(gateway)
        settled = _what_is_left()
        for _ in range(2):
            await _come_and_go(gateway)
            await eventually(lambda: (_what_is_left() - settled).total() < FEW)
        await eventually(lambda: not _what_is_left().keys() & {"Call", "Waiter", "Exchange", "Connection"})


async def _come_and_go(gateway: Gateway) -> None:
    _, waiting = await crowd_before(gateway)
    await leave(gateway, waiting)
    del waiting
    await eventually(lambda: gateway.source.asked == 0)


def _what_is_left() -> Counter[str]:
    gc.collect()
    everything = gc.get_objects()
    found = Counter(type(each).__name__ for each in everything if str(type(each).__module__).startswith("penstock."))
    found["tasks"] = len(asyncio.all_tasks())
    found["timers"] = sum(issubclass(type(each), asyncio.TimerHandle) and not each.cancelled() for each in everything)
    return found
