"""The report on the board: in order, renewed, and never in the replica's way."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from penstock.board import Failure, MemoryBoard, Phase, PhaseMark, ReplicaReport
from penstock.engine import reporting
from penstock.engine.reporting import Reporter, old, unchanged


def _reporter(board: MemoryBoard, replica: str = "r") -> Reporter:
    ticks = itertools.count(1000)
    return Reporter(board, ReplicaReport(model="demo", replica=replica), clock=lambda: float(next(ticks)))


async def test_phases_are_on_the_board_with_their_times() -> None:
    board = MemoryBoard()
    reporter = _reporter(board)
    reporter.start()
    reporter.enter(Phase.FETCHING)
    reporter.say(detail="1 of 2")
    reporter.enter(Phase.READY, max_model_len=512)
    await reporter.flush()
    (report,) = board.reports()
    assert [mark.phase for mark in report.phases] == [Phase.FETCHING, Phase.READY]
    assert report.phases[0].at < report.phases[1].at
    assert report.phase is Phase.READY
    assert report.since == report.phases[1].at
    assert report.max_model_len == 512
    assert report.detail == ""
    await reporter.close(remove=True)
    assert board.reports() == []


async def test_a_failures_report_stays() -> None:
    board = MemoryBoard()
    reporter = _reporter(board)
    reporter.start()
    reporter.fail(Failure(cause="It broke."))
    await reporter.close(remove=False)
    (report,) = board.reports()
    assert report.failure == Failure(cause="It broke.")
    assert report.phase is Phase.FAILED


async def test_the_report_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "HEARTBEAT", 0.001)
    board = MemoryBoard()
    reporter = _reporter(board)
    reporter.start()
    await reporter.flush()
    first = board.reports()[0].updated
    for _ in range(10_000):
        await reporter.flush()
        if board.reports()[0].updated > first:
            break
    assert board.reports()[0].updated > first
    await reporter.close(remove=True)


async def test_what_dead_replicas_left_long_ago_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "HEARTBEAT", 0.001)
    board = MemoryBoard()
    board.pin(ReplicaReport(model="demo", replica="old", updated=1.0))
    board.pin(ReplicaReport(model="demo", replica="recent", updated=990.0))
    reporter = _reporter(board)
    reporter.start()
    for _ in range(10_000):
        await reporter.flush()
        if len(board.reports()) < 3:
            break
    assert {report.replica for report in board.reports()} == {"recent", "r"}
    await reporter.close(remove=True)


async def test_a_living_replica_with_a_wrong_clock_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "HEARTBEAT", 0.001)
    pruned = asyncio.Event()
    board = MemoryBoard()
    board.pin(ReplicaReport(model="demo", replica="behind", updated=1.0))
    reporter = _reporter(board)
    loop = asyncio.get_running_loop()
    prune = reporter._prune

    def seen() -> None:
        prune()
        loop.call_soon_threadsafe(pruned.set)

    monkeypatch.setattr(reporter, "_prune", seen)
    reporter.start()
    await reporter.flush()
    board.pin(ReplicaReport(model="demo", replica="behind", updated=6.0))
    await asyncio.wait_for(pruned.wait(), 60)
    assert {report.replica for report in board.reports()} == {"behind", "r"}
    await reporter.close(remove=True)


async def test_others_are_read_without_oneself_and_nobody_is_there_while_the_board_is_away() -> None:
    class Away(MemoryBoard):
        def reports(self) -> list[ReplicaReport]:
            raise ConnectionError("away")

    board = MemoryBoard()
    board.pin(ReplicaReport(model="demo", replica="other", updated=990.0))
    for where, seen in ((board, ["other"]), (Away(), [])):
        reporter = _reporter(where)
        reporter.start()
        assert [report.replica for report in await reporter.others()] == seen
        await reporter.close(remove=True)


async def test_a_board_that_is_away_does_not_stop_a_replica() -> None:
    class Away(MemoryBoard):
        def pin(self, report: ReplicaReport) -> None:
            raise ConnectionError("away")

    reporter = _reporter(Away())
    reporter.start()
    reporter.enter(Phase.READY)
    await reporter.close(remove=True)
    reporter.enter(Phase.DRAINING)
    await reporter.flush()


def test_a_report_is_old_by_either_clock_and_forgotten_once_it_does_not_change() -> None:
    reports = [ReplicaReport(model="m", replica=str(at), updated=at) for at in (0.0, 100.0, 900.0, 5000.0)]
    suspected = old(reports, now=1000.0)
    assert suspected == {"0.0": 0.0, "100.0": 100.0, "5000.0": 5000.0}
    reports[1] = reports[1].model_copy(update={"updated": 105.0})
    assert unchanged(suspected, reports) == ["0.0", "5000.0"]


def test_the_time_of_a_start_is_without_the_pause_before_it() -> None:
    marks = [(Phase.BACKING_OFF, 10.0), (Phase.FETCHING, 50.0), (Phase.WARMING, 60.0), (Phase.READY, 62.0)]
    phases = [PhaseMark(phase=phase, at=at) for phase, at in marks]
    assert ReplicaReport(model="m", replica="r", phases=phases).start_seconds == 12.0
    assert ReplicaReport(model="m", replica="r", phases=phases[:3]).start_seconds is None
    back = [PhaseMark(phase=Phase.FETCHING, at=50.0), PhaseMark(phase=Phase.READY, at=5.0)]
    assert ReplicaReport(model="m", replica="r", phases=back).start_seconds is None


def test_a_report_without_phases_is_queued() -> None:
    report = ReplicaReport(model="m", replica="r")
    assert (report.phase, report.since) == (Phase.QUEUED, 0.0)
