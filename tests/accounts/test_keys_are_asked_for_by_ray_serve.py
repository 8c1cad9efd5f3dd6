"""Keys on the real road: `penstock up`, two gateways of Ray Serve, the default store, OpenAI's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import yaml

from support.started import Penstock, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

DOCUMENT: dict[str, Any] = {
    "models": {"demo": {"engine": "simulator", "aliases": ["default"]}, "other": {"engine": "simulator"}},
    "gateway": {"replicas": 2},
    "accounts": {"anonymous": False},
}
CONNECTIONS = 20
"""The kernel deals them out: so many reach both gateways."""


def statuses(penstock: Penstock, key: str) -> set[int]:
    """What requests on connections of their own are answered with."""
    asked = [
        httpx.get(f"{penstock.url}/v1/models", headers={"authorization": f"Bearer {key}"}, timeout=60)
        for _ in range(CONNECTIONS)
    ]
    return {answer.status_code for answer in asked}


def test_a_key_works_at_every_gateway_until_it_is_revoked(tmp_path: Path):
    with Penstock(tmp_path, DOCUMENT) as penstock:
        assert statuses(penstock, "psk_none") == {401}
        assert httpx.get(f"{penstock.url}/readyz", timeout=60).status_code == 200

        key = penstock.command("keys", "create", "alice", "--model", "demo").stdout.strip()
        assert statuses(penstock, key) == {200}
        with openai.OpenAI(base_url=f"{penstock.url}/v1", api_key=key, max_retries=0) as client:
            assert {model.id for model in client.models.list()} == {"demo", "default"}
            said = client.chat.completions.create(model="default", messages=[{"role": "user", "content": "Hello"}])
            assert said.choices[0].message.content
            with pytest.raises(openai.PermissionDeniedError):
                client.chat.completions.create(model="other", messages=[{"role": "user", "content": "Hello"}])

        assert penstock.command("keys", "disable", "alice").returncode == 0
        until(lambda: statuses(penstock, key) == {401}, what="refused by every gateway")

        listed = penstock.command("keys", "create", "ci", "--print-entry")
        entry = listed.stderr.split("names:\n", 1)[1]
        document = {**DOCUMENT, "accounts": {"database": {}, "keys": yaml.safe_load(entry)}}
        assert penstock.apply(document).returncode == 0
        until(lambda: statuses(penstock, listed.stdout.strip()) == {200}, what="known to every gateway")
        assert statuses(penstock, key) == {401}
        assert penstock.command("keys", "enable", "alice").returncode == 0
        until(lambda: statuses(penstock, key) == {200}, what="accepted again by every gateway")
    assert key not in penstock.said()


def test_an_open_address_for_other_machines_does_not_start(tmp_path: Path):
    penstock = Penstock(tmp_path, {"models": DOCUMENT["models"], "gateway": {"host": "0.0.0.0"}})
    penstock.start()
    assert penstock.process.wait(120) == 2
    assert "does not say who may use it" in " ".join(penstock.said().split())
