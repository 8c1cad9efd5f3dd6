"""`penstock status` tells which providers are left alone, as a gateway sees them."""

from __future__ import annotations

import asyncio

import pytest
from rich.console import Console

from penstock.assembly.neighbours import ask, providers_of
from penstock.assembly.status import GatewayStatus, State, Status
from penstock.cli.picture import overview
from support.gateways import ask as ask_gateway
from support.gateways import chat, post, refuses
from support.providers import KEY, VARIABLE, doors

METRICS = """# HELP penstock_provider_breaker_open 1 while
penstock_provider_breaker_open{provider="cloud"} 1.0
penstock_provider_breaker_open{provider="a-b"} 0.0
penstock_provider_breaker_open{provider="half"} 0.5
penstock_provider_requests_total{outcome="failed",provider="x"} 1.0
"""


def test_breakers_are_read_from_metrics() -> None:
    assert [(each.name, each.state) for each in providers_of(METRICS)] == [
        ("a-b", "asked"),
        ("cloud", "left alone"),
        ("half", "tried"),
    ]
    assert providers_of("") == []


def test_each_provider_has_a_line() -> None:
    console = Console(width=120)
    status = Status(gateway=GatewayStatus(url="http://h", state=State.READY), providers=providers_of(METRICS))
    with console.capture() as capture:
        console.print(overview(status, now=0.0))
    assert "provider cloud  left alone" in capture.get()


def test_an_address_that_does_not_answer_has_none_to_tell() -> None:
    assert ask("http://127.0.0.1:1") == []
    assert ask("file:///etc/hostname") == []


@pytest.mark.integration
async def test_a_real_gateway_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    async with doors(refuses(500, b""), breaker={"failures": 1, "pause": "1h"}) as both:
        await ask_gateway(both.gateway, post(chat("big")))
        (cloud,) = await asyncio.to_thread(ask, both.gateway.url)
        assert (cloud.name, cloud.state) == ("cloud", "left alone")
