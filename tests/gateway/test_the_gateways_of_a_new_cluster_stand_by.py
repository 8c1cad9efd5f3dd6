"""A second Ray cluster comes up beside the first: its gateways leave requests to the old ones until it can serve."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.succession import MISSES, Succession
from support.gateways import ask, get, post, running_gateway

WANTED = {"model-a", "model-b"}


def test_while_others_serve_a_gateway_waits_until_each_model_has_run() -> None:
    succession = Succession()
    assert not any(succession.note({"gateway"}, WANTED, served=True) for _ in range(1000))
    assert not succession.note({"model-a"}, WANTED, served=True)
    assert succession.note({"model-b"}, WANTED, served=True), "model-a has run, whatever became of it"


def test_a_model_that_never_runs_keeps_it_waiting_only_as_long_as_others_serve() -> None:
    succession = Succession()
    assert not succession.note({"model-a"}, WANTED, served=True)
    looks = [succession.note({"model-a"}, WANTED, served=False) for _ in range(MISSES)]
    assert looks == [False] * (MISSES - 1) + [True]


def test_one_look_that_finds_nobody_is_not_believed() -> None:
    succession = Succession()
    assert not any(succession.note(set(), WANTED, served=look % MISSES == 0) for look in range(100))


def test_without_models_there_is_nothing_to_wait_for() -> None:
    assert Succession().note(set(), set(), served=True)


@given(st.lists(st.tuples(st.sets(st.sampled_from(sorted(WANTED))), st.booleans()), max_size=30))
def test_it_takes_over_exactly_when_all_have_run_or_nobody_serves(looks: list[tuple[set[str], bool]]) -> None:
    succession = Succession()
    ran: set[str] = set()
    served: list[bool] = []
    for running, is_served in looks:
        ran |= running
        served.append(is_served)
        alone = len(served) >= MISSES and not any(served[-MISSES:])
        said = succession.note(running, WANTED, served=is_served)
        assert said == (ran == WANTED or alone)


@pytest.mark.integration
async def test_a_gateway_that_stands_by_is_not_ready_and_serves_all_the_same() -> None:
    async with running_gateway() as gateway:
        gateway.app.standby = True
        ready = await ask(gateway, get("/readyz"))
        assert (ready.status, ready.error["code"]) == (503, "standby")
        assert (await ask(gateway, get("/healthz"))).status == 200
        assert (await ask(gateway, post(b'{"model":"demo"}'))).status == 200
        gateway.app.standby = False
        assert (await ask(gateway, get("/readyz"))).status == 200
