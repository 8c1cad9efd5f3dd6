"""The head of a cluster that goes waits for the nodes that still finish their requests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from penstock.assembly.outlive import QUIET, outlive


@dataclass
class Clock:
    """Time that passes only in sleep."""

    time: float = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.mark.parametrize(
    ("stops", "limit", "waited"),
    [
        (None, 600, QUIET),
        ((0, 100), 600, 100 + QUIET),
        ((QUIET / 2, 100), 600, 100 + QUIET),
        ((QUIET * 2, 100), 600, QUIET),
        ((0, 1000), 600, 600),
    ],
    ids=["nobody stops", "all at once", "a little later", "much later", "longer than it may"],
)
def test_it_waits_as_long_as_nodes_stop_and_no_longer(
    stops: tuple[float, float] | None, limit: float, waited: float
) -> None:
    clock = Clock()
    outlive(lambda: stops is not None and stops[0] <= clock.time < stops[1], limit, now=clock.now, sleep=clock.sleep)
    assert waited - 1 <= clock.time <= waited + 1
