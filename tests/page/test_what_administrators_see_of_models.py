"""`/admin/models`: how models are, why one failed, the end of its log, and loading one; and who may ask."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penstock.accounts import secret
from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.board.decisions import ScalingDecision
from penstock.gateway.admin import is_local
from penstock.gateway.catalog import ModelEntry, ModelState, derive_state
from support.gateways import Gateway, Response, ask, eventually, get, running_gateway
from support.keys import listed, opened

ASLEEP = ModelEntry("org/demo", ("default",), state=ModelState(known=True))
LOCAL = [("host", "localhost:8000")]
POST = [*LOCAL, ("content-length", "0")]


def report(phase: Phase, replica: str, updated: float, failure: Failure | None = None) -> ReplicaReport:
    marks = [PhaseMark(phase=Phase.FETCHING, at=1.0), PhaseMark(phase=phase, at=3.5)]
    return ReplicaReport(model="org/demo", replica=replica, phases=marks, updated=updated, failure=failure)


FAILED = report(Phase.FAILED, "r1", 5.0, Failure(cause="No memory.", remedy="Buy some.", log_tail=["a", "boom"]))


async def load(gateway: Gateway, name: str = "org%2Fdemo") -> Response:
    return await ask(gateway, get(f"/admin/models/{name}/load", "POST", POST))


async def log(gateway: Gateway) -> dict[str, object]:
    return (await ask(gateway, get("/admin/models/org%2Fdemo/log", headers=LOCAL))).json()  # type: ignore[no-any-return]


@pytest.mark.integration
async def test_a_model_is_told_with_its_replicas_and_its_last_failure():
    reports = [FAILED, report(Phase.LOADING, "r2", 10.0)]
    async with running_gateway(models=[ModelEntry("org/demo", ("default",), state=derive_state(reports))]) as gateway:
        gateway.app.desk.reports = reports
        answer = await ask(gateway, get("/admin/models", headers=LOCAL))
    assert answer.status == 200
    (model,) = answer.json()["models"]
    assert (model["name"], model["aliases"], model["status"]) == ("org/demo", ["default"], "loading")
    assert model["failure"] == {"replica": "r1", "cause": "No memory.", "remedy": "Buy some."}
    phases = [{"phase": "fetching", "seconds": 2.5}, {"phase": "loading", "seconds": 6.5}]
    assert model["replicas"] == [{"replica": "r2", "phase": "loading", "phases": phases, "detail": ""}]


@pytest.mark.integration
async def test_loading_asks_for_a_replica_once_and_gives_it_back():
    async with running_gateway(models=[ASLEEP]) as gateway:
        gateway.source.there.clear()
        for _ in range(3):
            assert (await load(gateway)).status == 202
        await eventually(lambda: gateway.source.asked == 1)
        assert gateway.app.pools["org/demo"].waiting == 1
        gateway.source.there.set()
        await eventually(lambda: gateway.app.pools["org/demo"].waiting == 0)
        await eventually(lambda: gateway.source.taken == 1 and gateway.app.pools["org/demo"].lent == 0)


@pytest.mark.integration
async def test_a_model_that_does_not_load_hurts_nobody(caplog: pytest.LogCaptureFixture):
    async with running_gateway(models=[ASLEEP], settings={"hold": {"seconds": 0.05}}) as gateway:
        gateway.source.there.clear()
        assert (await load(gateway)).status == 202
        await eventually(lambda: "a model was not loaded" in caplog.text)
        assert (await load(gateway)).status == 202


@pytest.mark.integration
async def test_a_gateway_that_closes_waits_for_no_load():
    async with running_gateway(models=[ASLEEP]) as gateway:
        gateway.source.there.clear()
        await load(gateway)
        await eventually(lambda: gateway.source.asked == 1)
        await asyncio.wait_for(gateway.app.close(), 30)


def decided(least: int) -> ScalingDecision:
    return ScalingDecision(
        model="org/demo", replicas=1, rule="steady", text="", since=1, updated=1, least=least, most=2, target=4
    )


@pytest.mark.integration
async def test_unloading_is_left_to_scaling_where_the_document_lets_a_model_sleep():
    asked: list[str] = []
    async with running_gateway(models=[ASLEEP]) as gateway:
        desk = gateway.app.desk
        desk.ask_for_rest = asked.append
        for decisions, status in (([], 409), ([decided(1)], 409), ([decided(0)], 202)):
            desk.decisions = decisions
            answer = await ask(gateway, get("/admin/models/org%2Fdemo/unload", "POST", POST))
            assert answer.status == status
        assert answer.json()["sleeps"] is True
    assert asked == ["org/demo"]


@pytest.mark.integration
async def test_a_board_that_is_away_is_told():
    def away(_: str) -> None:
        raise ConnectionError("Ray's store is away")

    async with running_gateway(models=[ASLEEP]) as gateway:
        gateway.app.desk.decisions, gateway.app.desk.ask_for_rest = [decided(0)], away
        answer = await ask(gateway, get("/admin/models/org%2Fdemo/unload", "POST", POST))
    assert (answer.status, answer.error["code"]) == (503, "board_unavailable")


@pytest.mark.integration
async def test_the_log_is_that_of_the_replica_at_work_else_of_the_failed_one():
    async with running_gateway(models=[ASLEEP]) as gateway:
        desk = gateway.app.desk
        assert (await log(gateway))["lines"] == []
        desk.reports = [FAILED]
        assert (await log(gateway))["lines"] == ["a", "boom"]
        desk.reports = [report(Phase.LOADING, "r2", 1.0), FAILED]
        told = await log(gateway)
        assert (told["replica"], told["lines"]) == ("r2", [])
        assert "engine-*-r2.log" in str(told["missing"])
        desk.read_log = lambda replica: [f"{replica} {number}" for number in range(1000)]
        lines = (await log(gateway))["lines"]
        assert lines == [f"r2 {number}" for number in range(800, 1000)]


@pytest.mark.integration
async def test_an_unknown_model_is_told_with_the_nearest_name():
    async with running_gateway(models=[ASLEEP]) as gateway:
        answer = await load(gateway, "org%2Fdemi")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "org/demo" in answer.error["message"]


@pytest.mark.integration
async def test_where_there_are_keys_an_administrators_is_needed(tmp_path: Path):
    boss, user = secret.new_key(), secret.new_key()
    keys = {"boss": listed(boss, roles=["admin"]), "user": listed(user)}
    async with opened(keys=keys) as accounts, running_gateway(accounts=accounts) as gateway:
        statuses = [
            (await ask(gateway, get("/admin/models", headers=[*LOCAL, *lines]))).status
            for lines in ([], [("authorization", f"Bearer {user}")], [("authorization", f"Bearer {boss}")])
        ]
    assert statuses == [401, 403, 200]


@pytest.mark.parametrize(
    ("headers", "host", "local"),
    [
        ({"host": "localhost:8000"}, "127.0.0.1", True),
        ({"host": "127.0.0.1:8000"}, "127.0.0.1", True),
        ({"host": "[::1]:8000"}, "::1", True),
        ({"host": "LOCALHOST:8000", "origin": "http://localhost:8000"}, "127.0.0.1", True),
        # Listens to others as well.
        ({"host": "localhost:8000"}, "0.0.0.0", False),
        # A page of a stranger, under a name of its own that leads here, or of another origin.
        ({"host": "evil.example:8000"}, "127.0.0.1", False),
        ({"host": "evil.example:8000", "origin": "http://evil.example:8000"}, "127.0.0.1", False),
        ({"host": "localhost:8000", "origin": "https://evil.example"}, "127.0.0.1", False),
        ({"host": "localhost:8000", "origin": "http://localhost:9000"}, "127.0.0.1", False),
        ({"host": "localhost:8000", "origin": "null"}, "127.0.0.1", False),
        ({"host": "localhost.evil.example"}, "127.0.0.1", False),
        ({}, "127.0.0.1", False),
    ],
)
def test_without_keys_this_machine_alone_may_ask(headers: dict[str, str], host: str, local: bool):
    assert is_local([(name.encode(), value.encode()) for name, value in headers.items()], host) is local
