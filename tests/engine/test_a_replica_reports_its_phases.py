"""The report on the board: in order, renewed, and never in the replica's way."""

from __future__ import annotations

import itertools

import pytest

from penstock.board import Failure, MemoryBoard, Phase, ReplicaReport
from penstock.engine import reporting
from penstock.engine.reporting import Reporter, forgettable


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


async def test_what_dead_replicas_left_long_ago_is_removed() -> None:
    board = MemoryBoard()
    board.pin(ReplicaReport(model="demo", replica="old", updated=1.0))
    board.pin(ReplicaReport(model="demo", replica="recent", updated=990.0))
    reporter = _reporter(board)
    reporter.start()
    await reporter.flush()
    assert {report.replica for report in board.reports()} == {"recent", "r"}
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


def test_only_old_reports_are_forgettable() -> None:
    reports = [ReplicaReport(model="m", replica=str(at), updated=at) for at in (0.0, 100.0, 900.0)]
    assert forgettable(reports, now=1000.0) == ["0.0", "100.0"]


def test_a_report_without_phases_is_queued() -> None:
    report = ReplicaReport(model="m", replica="r")
    assert (report.phase, report.since) == (Phase.QUEUED, 0.0)
