"""The cache on the way of a request: which are looked for, which wait for another's answer, what is kept. Made by
`app`; `inference` asks it for models whose answers are kept, and for no others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock import config
from penstock.accounts.account import ANONYMOUS
from penstock.accounts.errors import StoreError
from penstock.accounts.named import named_text
from penstock.config.weights import SecretFrom
from penstock.gateway.attempt import Request
from penstock.gateway.cache.canonical import canonical, key_of
from penstock.gateway.cache.flight import Flight
from penstock.gateway.cache.memory import MemoryAnswers
from penstock.gateway.cache.stored import Stored, is_whole, kept_headers
from penstock.gateway.call import Call
from penstock.gateway.catalog import ModelEntry
from penstock.gateway.errors import BadRequestError
from penstock.gateway.headers import CACHE, first
from penstock.gateway.heartbeat import STREAMED
from penstock.gateway.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.cache.redis import RedisAnswers

_FORM: Final = "Write redis://:password@host:6379/0, or rediss:// for TLS."
_WISHES: Final = {b"on": True, b"off": False}


class Question(NamedTuple):
    """A request whose answer may be kept."""

    key: str
    path: str
    """The engine's, without its query."""
    model: str
    identity: str | None
    """What its replicas were told to run. None where that is not one thing: then others may wait for the same answer,
    and none is kept or looked for."""
    ttl: float
    streams: bool


class Cache:
    """Of one gateway. Raises StoreError where the address of Redis cannot be read.

    Args:
        settings: the document's `gateway`.
        identity: what a model's answers follow from beside the request, by its name, at the moment.
        registry: where its metrics are shown.
        wall: seconds since the epoch; for tests.
    """

    def __init__(
        self,
        settings: config.Gateway,
        identity: Callable[[str], str | None],
        registry: CollectorRegistry,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings.cache
        self._heartbeat = settings.hold.heartbeat
        self._identity = identity
        self._wall = wall
        self._memory = MemoryAnswers(self._settings.memory)
        self._redis = _redis(self._settings.redis, self._settings.largest) if self._settings.redis else None
        self._flights: dict[str, Flight] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._asked = Counter(
            "penstock_gateway_cache_requests_total",
            "Requests whose answers may be kept, by what became of them.",
            ["model", "outcome"],
            registry=registry,
        )
        registry.register(_Health(self._memory, lambda: self._redis is not None and self._redis.gone))

    def question(self, call: Call, model: ModelEntry, request: Request) -> Question | None:
        """What to look for; None where the request is the engine's alone.

        Args:
            request: what the client asks engines, without what we put in.

        Raises BadRequestError where the client's wish is none.
        """
        policy = model.cache
        wish = first(call.headers, CACHE)
        if wish is not None and wish not in _WISHES:
            raise BadRequestError(
                f"{CACHE.decode()} is {wish[:20].decode('latin-1')!r}; send on or off, or leave it out.",
                code="invalid_header",
            )
        if policy is None or not _wanted(policy, wish) or len(request.body) > self._settings.largest:
            return None
        path, _, query = request.target.partition("?")
        if (form := canonical(path, request.body, sampled=policy.sampled)) is None:
            return None
        account, identity = call.account, model.identity
        tenant = None if account is None or account is ANONYMOUS else account.owner
        key = key_of(form, path=path, query=query.encode("latin-1"), model=model.name, identity=identity, tenant=tenant)
        return Question(key, path, model.name, identity, policy.ttl, request.streams)

    async def answer(self, question: Question, call: Call, run: Callable[[Call], Awaitable[None]]) -> None:
        """Answer a call from what is kept, with others that wait for the same, or by `run`, which asks an engine.

        Raises what `run` raises before it has sent something.
        """
        interval = self._heartbeat if question.streams and call.endpoint in STREAMED else None
        try:
            if (flight := self._flights.get(question.key)) is not None:
                await self._join(flight, call, run, interval)
            elif (stored := self._recall(question)) is not None:
                call.cache = "hit"
                call.common.append((CACHE, b"hit"))
                call.usage = Usage()
                await call.respond(200, list(stored.headers), stored.body)
            else:
                await self._lead(question, call, run, interval)
        finally:
            self._asked.labels(call.model, call.cache).inc()

    def _recall(self, question: Question) -> Stored | None:
        if question.identity is None:
            return None
        return self._memory.get(question.key, since=self._wall() - question.ttl)

    async def _join(
        self, flight: Flight, call: Call, run: Callable[[Call], Awaitable[None]], interval: float | None
    ) -> None:
        call.cache = "joined"
        if not await flight.follow(flight.join(call), interval):
            call.cache = "miss"
            call.common.append((CACHE, b"miss"))
            await run(call)

    async def _lead(
        self, question: Question, call: Call, run: Callable[[Call], Awaitable[None]], interval: float | None
    ) -> None:
        call.cache = "miss"
        flight = Flight(call, self._settings.largest, partial(self._forget, question.key))
        self._flights[question.key] = flight
        flight.start(partial(self._work, question, run))
        await flight.follow(flight.leader, interval)

    def _forget(self, key: str) -> None:
        del self._flights[key]

    async def _work(self, question: Question, run: Callable[[Call], Awaitable[None]], flight: Flight) -> None:
        stored = None
        if self._redis is not None and question.identity is not None:
            stored = await self._redis.get(question.key)
        if stored is not None and stored.made >= self._wall() - question.ttl:
            self._memory.put(question.key, stored)
            flight.leader.call.cache, flight.word = "hit", b"hit"
            flight.shadow.usage = Usage()
            await flight.shadow.respond(200, list(stored.headers), stored.body)
            return
        await run(flight.shadow)
        self._keep(question, flight)

    def _keep(self, question: Question, flight: Flight) -> None:
        if question.identity is None or flight.too_large or not flight.shadow.complete or flight.shadow.provider:
            return
        body = flight.body
        whole = is_whole(
            question.path, streams=question.streams, status=flight.status, headers=flight.headers, body=body
        )
        # A model that has changed meanwhile may have answered with either.
        if not whole or self._identity(question.model) != question.identity:
            return
        stored = Stored(self._wall(), kept_headers(flight.headers), body)
        self._memory.put(question.key, stored)
        if self._redis is not None:
            task = asyncio.get_running_loop().create_task(self._redis.put(question.key, stored, question.ttl))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Tell what is still to be told, and end all connections. Call it when no request is in progress."""
        while self._telling:
            await asyncio.wait(self._telling)
        if self._redis is not None:
            await self._redis.close()


def _wanted(policy: config.AnswerCache, wish: bytes | None) -> bool:
    if policy.when == "never":
        return False
    return _WISHES[wish] if wish is not None else policy.when == "always"


def _redis(place: SecretFrom, largest: int) -> RedisAnswers:
    # Only now: where there is no Redis, nobody waits for its library.
    from penstock.gateway.cache.redis import RedisAnswers  # noqa: PLC0415

    address, where = named_text(place, "gateway.cache.redis", _FORM)
    try:
        return RedisAnswers(address, largest)
    except (ValueError, TypeError):
        # Without its cause, which may show the text.
        raise StoreError(f"The address of Redis in {where} cannot be read.", remedy=_FORM) from None


class _Health(Collector):
    """How the cache is, when asked."""

    def __init__(self, memory: MemoryAnswers, gone: Callable[[], bool]) -> None:
        self._memory = memory
        self._gone = gone

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "penstock_gateway_cache_bytes", "Bytes of answers in this gateway's memory.", value=self._memory.size
        )
        yield GaugeMetricFamily(
            "penstock_gateway_cache_answers", "Answers in this gateway's memory.", value=len(self._memory)
        )
        yield GaugeMetricFamily(
            "penstock_gateway_cache_redis_gone",
            "1 while the Redis of the cache cannot be used.",
            value=float(self._gone()),
        )
