"""Why answers are slow, and why connections are refused, from the numbers and sockets of a running Penstock."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest

from penstock.config import Gateway
from penstock.doctor.checks.pace import slowness
from penstock.doctor.checks.running import running
from penstock.doctor.facts import Facts, Pace, Running, RunningModel, Software
from penstock.doctor.findings import Level
from penstock.doctor.probes.pace import paces, parse
from penstock.doctor.probes.running import listener
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.leases import StaticSource
from support.gateways import ask, chat, post, running_gateway

WELL = Pace("demo", load=4, replicas=1, desired=1, target=4, kv_cache=0.2, answers=100, first_byte=0.1)
SERVES = Running(7, "http://127.0.0.1:8000", "ready", answers=True, models=(RunningModel("demo", "ready"),))


def test_numbers_that_are_well_say_nothing() -> None:
    assert slowness(WELL) is None
    assert slowness(Pace("demo")) is None
    assert slowness(replace(WELL, load=4.4)) is None, "a tenth more is borne"
    assert slowness(replace(WELL, answers=4, first_byte=60)) is None, "a few say nothing"


@pytest.mark.parametrize(
    ("changes", "found", "remedy"),
    [
        ({"replicas": 0, "waiting": 3}, "3 requests wait, and no replica takes any", "replicas.min: 1"),
        ({"load": 16.0}, "16 requests are in progress on 1 replica, each aimed at 4, and it may", "replicas.max"),
        ({"load": 16.0, "desired": 3}, "2 more are on their way", "penstock status --watch"),
        ({"kv_cache": 0.95}, "KV cache is 95% full", "gpu_memory_utilization"),
        ({"first_byte": 7.24}, "came after 7.2 s on average, over 100 answers", "smaller or quantised"),
    ],
)
def test_slow_answers_are_explained_by_what_the_numbers_say(
    changes: dict[str, object], found: str, remedy: str
) -> None:
    told = slowness(replace(WELL, **changes))  # type: ignore[arg-type]
    assert told is not None
    assert told.level is Level.WARNING
    assert found in told.found
    assert remedy in (told.remedy or "")


def test_a_slow_model_is_among_what_is_found_of_a_running_penstock() -> None:
    facts = Facts(Software((3, 11)), running=replace(SERVES, paces=(WELL, replace(WELL, model="slow", kv_cache=1.0))))
    assert [finding.subject for finding in running(facts) if finding.level is Level.WARNING] == ["pace of slow"]


async def test_a_gateways_own_metrics_are_understood() -> None:
    async with running_gateway() as gateway:
        for _ in range(3):
            await ask(gateway, post(chat()))
        (found,) = parse(gateway.app.metrics.text().decode())
    assert (found.model, found.answers, found.waiting) == ("demo", 3, 0)
    assert found.first_byte is not None


async def test_requests_that_wait_are_seen_in_the_metrics() -> None:
    app = GatewayApp(Gateway(), Catalog([ModelEntry("demo")]), lambda _: StaticSource([]))
    text = app.metrics.text().decode()
    assert parse(text) == (Pace("demo"),)
    await app.close()
    scaling = "".join(
        f'penstock_scaling_{name}{{model="demo"}} {value}\n'
        for name, value in (("load", 9), ("running_replicas", 2), ("target_requests", 4), ("kv_cache_usage_ratio", 0.5))
    )
    (found,) = parse(text + scaling)
    assert (found.load, found.replicas, found.target, found.kv_cache) == (9, 2, 4, 0.5)


def test_where_nobody_tells_nothing_is_known() -> None:
    assert paces("http://127.0.0.1:1") == ()
    assert paces("nonsense") == ()


@pytest.mark.parametrize(
    ("changes", "found", "remedy"),
    [
        ({"listener": ""}, "refuses connections: Penstock runs (process 7), and nothing listens there", "has failed"),
        ({"listener": "python, process 9,"}, "python, process 9, listens there", "gateway.port"),
        ({"listener": None}, "does not answer (process 7)", "penstock status"),
    ],
)
def test_a_door_that_is_closed_tells_who_listens(changes: dict[str, object], found: str, remedy: str) -> None:
    facts = Facts(Software((3, 11)), running=replace(SERVES, answers=False, **changes))  # type: ignore[arg-type]
    told = next(finding for finding in running(facts) if finding.level is Level.PROBLEM)
    assert found in told.found
    assert remedy in (told.remedy or "")


@pytest.mark.parametrize(("answers", "words"), [(True, "still answers"), (False, "does not answer either"), (None, "")])
def test_where_ray_is_gone_it_is_told_whether_the_address_is(answers: bool | None, words: str) -> None:
    gone = replace(SERVES, answers=answers, error="its Ray does not answer at 127.0.0.1:6379.")
    (told,) = running(Facts(Software((3, 11)), running=gone))
    assert "its Ray does not answer at 127.0.0.1:6379." in told.found
    assert words in told.found


@pytest.mark.integration
def test_who_listens_is_seen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert listener(f"http://127.0.0.1:{port}") == ""
        server.listen()
        told = listener(f"http://127.0.0.1:{port}")
    assert told == "somebody" or f"process {os.getpid()}," in (told or "")
    assert listener("http://127.0.0.1:99999") is None
    assert listener("nonsense") is None
