"""Usage on the real road: two gateways of Ray Serve, the default store, and a stop before much was due to be stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from support.started import Penstock

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

DOCUMENT: dict[str, Any] = {
    "models": {"demo": {"engine": "simulator", "options": {"output_tokens": 9}}},
    "gateway": {"replicas": 2},
    # As long as may be, so that the stop has to bring it there.
    "accounts": {"anonymous": False, "usage": {"flush": "60s"}},
}
REQUESTS = 40


def test_what_was_counted_is_in_the_store_when_all_gateways_have_stopped(tmp_path: Path):
    with Penstock(tmp_path, DOCUMENT) as penstock:
        key = penstock.command("keys", "create", "alice", "--owner", "research").stdout.strip()
        completion = 0
        for number in range(REQUESTS):
            # A client of its own has a connection of its own, which the kernel deals to one of the gateways.
            with openai.OpenAI(base_url=f"{penstock.url}/v1", api_key=key, max_retries=0) as client:
                said = [{"role": "user", "content": "Hello"}]
                if number % 2:
                    stream = client.chat.completions.create(model="demo", messages=said, stream=True)  # type: ignore[call-overload]
                    assert all(chunk.choices for chunk in stream), "nobody asked for the usage"
                    completion += 9
                else:
                    answer = client.chat.completions.create(model="demo", messages=said)  # type: ignore[call-overload]
                    completion += answer.usage.completion_tokens
    told = json.loads(penstock.command("usage", "--by", "team,model", "--json").stdout)
    (row,) = told["rows"]
    assert (row["team"], row["model"]) == ("research", "demo")
    assert (row["requests"], row["completion_tokens"]) == (REQUESTS, completion)
    assert not list((tmp_path / "state" / "usage").iterdir()), "nothing is left to bring"
