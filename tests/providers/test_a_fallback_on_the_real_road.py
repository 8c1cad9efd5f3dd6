"""A model that sleeps under a real Ray Serve, and a provider that answers while it wakes."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock import environment
from support.engines import SimulatorServer
from support.started import Penstock, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

KEY = "sk-of-the-real-road"


def document(url: str, key: Path) -> dict[str, Any]:
    return {
        "models": {
            "demo": {
                "engine": "simulator",
                "replicas": {"min": 0, "max": 1},
                "options": {"startup": "8s"},
                "fallback": {"to": "big"},
            }
        },
        "providers": {
            "next": {"baseUrl": f"{url}/v1", "key": {"file": str(key)}, "models": {"big": {"model": "theirs"}}}
        },
        "gateway": {"hold": {"requests": 1}},
    }


def asked(penstock: Penstock) -> httpx.Response:
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    return httpx.post(f"{penstock.url}/v1/chat/completions", json=body, timeout=180)


def test_one_request_wakes_the_model_and_the_others_are_answered_elsewhere(tmp_path: Path):
    (key := tmp_path / "key").write_text(KEY)
    token = {environment.ENGINE_TOKEN: KEY}
    with (
        SimulatorServer(log=tmp_path / "simulator.log", model="theirs", environment=token) as provider,
        Penstock(tmp_path, document(provider.url, key)) as penstock,
        ThreadPoolExecutor(1) as aside,
    ):
        cards = {card["id"]: card for card in httpx.get(f"{penstock.url}/v1/models", timeout=60).json()["data"]}
        assert (cards["demo"]["status"], cards["demo"]["fallback"]) == ("idle", "big")
        assert (cards["big"]["provider"], cards["big"]["ready"]) == ("next", True)

        waking = aside.submit(asked, penstock)
        until(
            lambda: 'requests_waiting{model="demo"} 1.0' in httpx.get(f"{penstock.url}/metrics", timeout=60).text,
            what="one request that waits",
        )
        answer = asked(penstock)
        assert answer.status_code == 200, answer.text
        assert (answer.headers["x-penstock-provider"], answer.headers["x-penstock-fallback"]) == ("next", "noReplica")
        woken = waking.result()
        assert (woken.status_code, "x-penstock-provider" in woken.headers) == (200, False)
        assert "x-penstock-provider" not in asked(penstock).headers

        before = penstock.status()["gateway"]["pids"]
        alone = copy.deepcopy(document(provider.url, key))
        del alone["providers"], alone["models"]["demo"]["fallback"]
        assert penstock.apply(alone).returncode == 0
        until(lambda: "big" not in httpx.get(f"{penstock.url}/v1/models", timeout=60).text, what="known to be gone")
        after = penstock.status()
        assert after["gateway"]["pids"] == before
        (demo,) = after["models"]
        assert len(demo["replicas"]) == 1, "a fallback that goes restarts no engine"
    assert KEY not in penstock.said()
