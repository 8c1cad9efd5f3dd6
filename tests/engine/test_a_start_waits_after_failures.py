"""The replica's side of the back-off: what it reads on the board, what it says, and that a stop ends the wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from penstock.board import Failure, MemoryBoard, Phase, PhaseMark, ReplicaReport
from penstock.engine import crash_loop
from penstock.engine.spec import EngineSpec
from penstock.errors import EngineError
from support.replicas import Bench, simulator, until

pytestmark = pytest.mark.integration

MODEL = simulator()
SPEC = crash_loop.digest(EngineSpec(name="sim", model=MODEL))


def _failed(replica: str, before: int, *, ago: float = 0.0, spec: str = SPEC) -> ReplicaReport:
    now = time.time() - ago
    return ReplicaReport(
        model="sim",
        replica=replica,
        spec=spec,
        failures_before=before,
        failure=Failure(cause="It broke."),
        phases=[PhaseMark(phase=Phase.FAILED, at=now)],
        updated=now,
    )


def _board(*reports: ReplicaReport) -> MemoryBoard:
    board = MemoryBoard()
    for report in reports:
        board.pin(report)
    return board


async def test_a_replica_after_three_failures_waits_and_says_why_until_it_is_stopped() -> None:
    bench = Bench(MODEL, board=_board(_failed("r0", 2)))
    starting = asyncio.create_task(bench.replica.start())
    await until(lambda: bench.replica.report.phase is Phase.BACKING_OFF)
    report = bench.replica.report
    assert (report.follows, report.failures_before) == ("r0", 3)
    assert report.detail.startswith("3 failures in a row, so it waits ")
    assert report.detail.endswith("s: It broke.")
    assert bench.log.tail() == []
    await bench.replica.stop(30)
    with pytest.raises(asyncio.CancelledError):
        await starting


@pytest.mark.parametrize(
    "board",
    [
        _board(),
        _board(_failed("r0", 0)),
        _board(_failed("r0", 9, spec="other")),
        _board(_failed("r0", 4, ago=500)),
        _board(_failed("r0", 9, ago=5000)),
    ],
    ids=["no failure", "the first failure", "another document", "a while ago", "long ago"],
)
async def test_other_starts_do_not_wait(board: MemoryBoard) -> None:
    bench = Bench(MODEL, board=board)
    await bench.replica.start()
    assert Phase.BACKING_OFF not in [mark.phase for mark in bench.replica.report.phases]
    await bench.replica.stop(0)


async def test_a_wait_ends_in_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_loop, "FIRST_PAUSE", 0.05)
    bench = Bench(MODEL, board=_board(_failed("r0", 3)))
    await bench.replica.start()
    phases = [mark.phase for mark in bench.replica.report.phases]
    assert phases[:2] == [Phase.BACKING_OFF, Phase.STARTING]
    assert phases[-1] is Phase.READY
    await bench.replica.stop(0)


async def test_failures_of_replicas_that_follow_one_another_add_up() -> None:
    board = MemoryBoard()
    for number in range(2):
        bench = Bench(simulator(startup="10m", model={"startup": {"limit": "1ms"}}), board=board, name=f"r{number}")
        with pytest.raises(EngineError):
            await bench.replica.start()
    assert [(r.replica, r.follows, r.failures_before) for r in board.reports()] == [("r0", "", 0), ("r1", "r0", 1)]


async def test_a_replica_that_was_lost_without_a_word_counts_as_failed() -> None:
    silent = _failed("r0", 4).model_copy(update={"failure": None, "phases": []})
    bench = Bench(MODEL, board=_board(silent), is_lost=lambda report: report.replica == "r0")
    starting = asyncio.create_task(bench.replica.start())
    await until(lambda: bench.replica.report.phase is Phase.BACKING_OFF)
    assert bench.replica.report.failures_before == 5
    await bench.replica.stop(30)
    with pytest.raises(asyncio.CancelledError):
        await starting
