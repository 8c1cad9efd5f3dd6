"""The way of a report from its sender to the one who decides."""

from __future__ import annotations

from random import Random

from penstock.scaling.replay.reports import Line, Wire


def test_a_report_arrives_after_its_delay() -> None:
    wire: Wire[str] = Wire(Line(delay_s=2), Random(1))
    wire.send(10, "first")
    wire.send(11, "second")
    assert [wire.latest(now) for now in (11, 12, 13)] == [None, (10, "first"), (11, "second")]


def test_a_lost_report_leaves_the_one_before() -> None:
    wire: Wire[int] = Wire(Line(delay_s=0, lost=0.3), Random(1))
    known = []
    for second in range(2000):
        wire.send(second, second)
        known.append(second == (wire.latest(second) or (-1, -1))[1])
    assert 0.25 < 1 - sum(known) / len(known) < 0.35


def test_a_sender_that_says_nothing_for_long_is_forgotten() -> None:
    wire: Wire[str] = Wire(Line(delay_s=1), Random(1), forgotten_after_s=20)
    wire.send(0, "last words")
    assert wire.latest(20) == (0, "last words")
    assert wire.latest(21) is None
