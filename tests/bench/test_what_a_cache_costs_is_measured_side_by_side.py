"""`penstock bench --cache`: what is compared, and that each gateway does what it is called after."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from penstock.assembly import cache_cost
from penstock.assembly.lone_gateway import LoneGateway
from penstock.bench import Plan, run_bench
from penstock.gateway.cache.canonical import is_determined


def test_what_is_asked_can_be_kept() -> None:
    assert is_determined(dict(cache_cost.plan(3).body("demo")))
    assert cache_cost.plan(3).rounds == 3


def test_one_gateway_keeps_nothing_one_forgets_at_once_and_one_has_nothing_but_redis() -> None:
    told = {name: LoneGateway.model_validate(more) for name, more in cache_cost.gateways(Path("/address")).items()}
    assert told[cache_cost.WITHOUT].cache is None
    assert told[cache_cost.MISS].cache is not None
    assert told[cache_cost.MISS].cache.ttl == 0.001
    assert told[cache_cost.HIT].gateway.cache.redis is None
    assert told[cache_cost.REDIS_HIT].gateway.cache.memory == 0
    assert told[cache_cost.REDIS_HIT].gateway.cache.redis is not None


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs Redis' server: apt-get install redis-server")
async def test_all_of_it_is_started_and_used(tmp_path: Path) -> None:
    plan: Plan = replace(cache_cost.plan(3), warm_up=1)
    async with cache_cost.with_and_without(tmp_path, lambda _: None) as targets:
        assert [target.name for target in targets] == [
            cache_cost.DIRECT,
            cache_cost.WITHOUT,
            cache_cost.MISS,
            cache_cost.HIT,
            cache_cost.REDIS_HIT,
        ]
        result = await run_bench(plan, targets, on_progress=lambda _: None)
        assert all(summary.errors == {} for summary in result.summaries)
        outcomes = {}
        async with httpx.AsyncClient() as client:
            for target in targets[1:]:
                text = (await client.get(target.base_url.removesuffix("/v1") + "/metrics")).text
                found = re.findall(r'cache_requests_total\{model="for-nothing",outcome="(\w+)"\} (\S+)', text)
                outcomes[target.name] = {outcome: float(number) for outcome, number in found}
    assert outcomes[cache_cost.WITHOUT] == {}
    assert outcomes[cache_cost.MISS] == {"miss": 4}
    for name in (cache_cost.HIT, cache_cost.REDIS_HIT):
        assert outcomes[name] == {"miss": 1, "hit": 3}
