"""Several gateways keep answers together in a Redis. One that is gone, slow or odd costs an answer, never a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from penstock.accounts.errors import StoreError
from penstock.config import AnswerCache, Gateway
from penstock.gateway.cache.caching import Cache
from penstock.gateway.cache.redis import PREFIX
from penstock.gateway.catalog import ModelEntry
from support.gateways import Behaviour, ask, chat, eventually, get, post, running_gateway, streams
from support.gateways import Gateway as Running
from support.redis import client, empty, running_redis, url_of
from support.servers import Server

pytestmark = pytest.mark.integration

REQUEST = post(chat(temperature=0))
STREAM = post(chat(temperature=0, stream=True))


@pytest.fixture(autouse=True)
def _a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is lost because this machine is busy."""
    monkeypatch.setattr("penstock.gateway.cache.redis.PATIENCE", 2.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_redis() as running:
        yield running


@pytest.fixture
def redis(server: Server) -> Server:
    empty(server)
    return server


@pytest.fixture
def redis_of_its_own() -> Iterator[Server]:
    with running_redis() as running:
        yield running


@asynccontextmanager
async def gateway_on(
    redis: Server, folder: Path, *behaviours: Behaviour, ttl: float = 60, **more: Any
) -> AsyncIterator[Running]:
    (folder / "address").write_text(url_of(redis))
    settings = {"cache": {"redis": {"file": str(folder / "address")}, **more}}
    models = [ModelEntry("demo", cache=AnswerCache(ttl=ttl))]
    async with running_gateway(*behaviours, settings=settings, models=models) as gateway:
        yield gateway


async def word(gateway: Running, request: bytes = REQUEST) -> str:
    response = await ask(gateway, request)
    assert response.status == 200
    return response.headers["x-penstock-cache"]


def keys(redis: Server) -> list[bytes]:
    with client(redis) as connected:
        return [bytes(key) for key in connected.keys("*")]


async def test_what_one_gateway_was_told_another_knows(redis: Server, tmp_path: Path) -> None:
    async with gateway_on(redis, tmp_path, streams()) as one, gateway_on(redis, tmp_path, streams()) as other:
        first = await ask(one, STREAM)
        await eventually(lambda: len(keys(redis)) == 1)
        again = await ask(other, STREAM)
        assert again.headers["x-penstock-cache"] == "hit"
        assert again.body == first.body
        assert again.headers["content-type"] == "text/event-stream"
        assert len(other.engine.seen) == 0
        empty(redis)
        assert await word(other, STREAM) == "hit", "it keeps in memory what it was told"


async def test_without_memory_redis_alone_answers(redis: Server, tmp_path: Path) -> None:
    async with gateway_on(redis, tmp_path, memory=0) as gateway:
        assert await word(gateway) == "miss"
        await eventually(lambda: len(keys(redis)) == 1)
        assert await word(gateway) == "hit"
        empty(redis)
        assert await word(gateway) == "miss"


async def test_redis_forgets_by_itself_and_keeps_nothing_that_is_too_large(redis: Server, tmp_path: Path) -> None:
    async with gateway_on(redis, tmp_path, ttl=60) as gateway:
        assert await word(gateway) == "miss"
        await eventually(lambda: len(keys(redis)) == 1)
        with client(redis) as connected:
            assert 50 < connected.ttl(keys(redis)[0]) <= 60
    large = streams(chunk=b"data: %b\n\n" % (b"x" * 2000))
    empty(redis)
    async with gateway_on(redis, tmp_path, large, largest=4000) as gateway:
        assert await word(gateway, STREAM) == "miss"
        assert await word(gateway, STREAM) == "miss"
    assert keys(redis) == []


async def test_what_is_kept_outside_tells_nothing_by_its_name(redis: Server, tmp_path: Path) -> None:
    async with gateway_on(redis, tmp_path) as gateway:
        assert await word(gateway) == "miss"
        await eventually(lambda: len(keys(redis)) == 1)
    (key,) = keys(redis)
    assert key.startswith(PREFIX.encode())
    assert len(key) == len(PREFIX) + 64


async def test_nonsense_in_redis_is_a_miss(redis: Server, tmp_path: Path) -> None:
    async with gateway_on(redis, tmp_path, memory=0) as gateway:
        assert await word(gateway) == "miss"
        await eventually(lambda: len(keys(redis)) == 1)
        (key,) = keys(redis)
        for nonsense in (b"", b"nonsense", b"{}\n{}"):
            with client(redis) as connected:
                connected.set(key, nonsense)
            assert await word(gateway) == "miss"
        with client(redis) as connected:
            connected.delete(key)
            connected.rpush(key, b"a list")
        assert await word(gateway) == "miss"


async def test_a_redis_that_is_killed_costs_answers_and_no_request(redis_of_its_own: Server, tmp_path: Path) -> None:
    async with gateway_on(redis_of_its_own, tmp_path, memory=0) as gateway:
        assert await word(gateway) == "miss"
        await eventually(lambda: len(keys(redis_of_its_own)) == 1)
        redis_of_its_own.kill()
        for _ in range(3):
            assert await word(gateway) == "miss"
        text = (await ask(gateway, get("/metrics"))).body.decode()
        assert "penstock_gateway_cache_redis_gone 1.0" in text
        redis_of_its_own.start()

        async def is_back() -> bool:
            return await word(gateway) == "hit"

        while not await is_back():  # each look is a request
            pass
        text = (await ask(gateway, get("/metrics"))).body.decode()
        assert "penstock_gateway_cache_redis_gone 0.0" in text


async def test_a_redis_that_hangs_is_not_waited_for_by_every_request(redis_of_its_own: Server, tmp_path: Path) -> None:
    async with gateway_on(redis_of_its_own, tmp_path, memory=0) as gateway:
        assert await word(gateway) == "miss"
        redis_of_its_own.pause()
        try:
            for _ in range(3):
                assert await word(gateway) == "miss"
        finally:
            redis_of_its_own.resume()


async def test_an_address_that_is_none_is_told_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("secret-word")
    settings = Gateway.model_validate({"cache": {"redis": {"file": str(tmp_path / "address")}}})
    with pytest.raises(StoreError) as caught:
        Cache(settings, lambda _: "", CollectorRegistry())
    assert "secret-word" not in str(caught.value)
