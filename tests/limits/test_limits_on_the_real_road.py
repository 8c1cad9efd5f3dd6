"""Limits on the real road: `penstock up`, two gateways of Ray Serve, a real Redis, OpenAI's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from support.limits import VARIABLE
from support.redis import client, url_of
from support.servers import Server
from support.started import Penstock, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

DOCUMENT: dict[str, Any] = {
    "models": {"demo": {"engine": "simulator"}},
    "gateway": {"replicas": 2},
    "accounts": {
        "anonymous": False,
        "limits": {"redis": {"env": VARIABLE}, "prices": {"demo": {"completion": 1000.0}}},
    },
}
MESSAGES: Any = [{"role": "user", "content": "Hello"}]


def test_two_gateways_count_together_and_a_budget_outlives_them(
    tmp_path: Path, redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, url_of(redis_of_its_own))
    with Penstock(tmp_path, DOCUMENT) as penstock:
        key = penstock.command("keys", "create", "alice", "--limit", "requestsPerMinute=8").stdout.strip()

        def ask(key: str = key) -> httpx.Response:
            # On a connection of its own, which the kernel gives to either gateway.
            return httpx.post(
                f"{penstock.url}/v1/chat/completions",
                json={"model": "demo", "messages": MESSAGES, "max_tokens": 4},
                headers={"authorization": f"Bearer {key}"},
                timeout=60,
            )

        answers = [ask() for _ in range(24)]
        assert [answer.status_code for answer in answers] == [200] * 8 + [429] * 16
        assert [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in answers[:8]] == [*range(7, -1, -1)]
        with (
            openai.OpenAI(base_url=f"{penstock.url}/v1", api_key=key, max_retries=0) as sdk,
            pytest.raises(openai.RateLimitError),
        ):
            sdk.chat.completions.create(model="demo", messages=MESSAGES)

        # A stream whose client did not ask for its usage is paid for like any other.
        rich = penstock.command("keys", "create", "rich", "--limit", "moneyPerMonth=0.02").stdout.strip()
        with openai.OpenAI(base_url=f"{penstock.url}/v1", api_key=rich, max_retries=0) as sdk:
            for _ in range(5):
                stream = sdk.chat.completions.create(model="demo", messages=MESSAGES, max_tokens=4, stream=True)
                assert list(stream)
            with client(redis_of_its_own) as connected:
                # 20 tokens at a thousandth each.
                until(
                    lambda: (
                        sum(int(connected.get(name) or 0) for name in connected.keys("*moneyPerMonth*")) == 2 * 10**7
                    )
                )
            with pytest.raises(openai.RateLimitError) as error:
                sdk.chat.completions.create(model="demo", messages=MESSAGES)
            assert error.value.code == "insufficient_quota"

        redis_of_its_own.kill()
        until(lambda: ask().status_code == 503, what="refused without Redis")
        redis_of_its_own.start()
        until(lambda: ask().status_code == 200, what="served again")
    assert key not in penstock.said()
    assert redis_of_its_own.password not in penstock.said()
