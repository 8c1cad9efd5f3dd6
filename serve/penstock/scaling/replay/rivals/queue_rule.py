"""KEDA with Kubernetes' horizontal pod autoscaler on a number from Prometheus, with the defaults of both. Used by
`scenarios`.

KEDA wakes a model and puts it to sleep; between one replica and the most, the autoscaler divides the number by a
threshold per replica.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from penstock.scaling.replay.reports import Line, Wire
from penstock.scaling.replay.world import Truth


class Config(NamedTuple):
    """The defaults of KEDA 2 and of Kubernetes' autoscaling/v2, but for the threshold."""

    threshold: float
    """Of the number, per replica."""
    min_replicas: int = 1
    max_replicas: int = 1
    scrape_s: float = 15.0
    """Between two looks of Prometheus at the gateways and engines."""
    sync_s: float = 15.0
    """Between two decisions of the autoscaler."""
    polling_s: float = 30.0
    """Between two looks of KEDA at whether there is anything to do at all."""
    cooldown_s: float = 300.0
    """With nothing to do for so long, KEDA goes to zero."""
    stabilization_s: float = 300.0
    """Fewer replicas are made only to the most that was recommended within so long."""
    tolerance: float = 0.1
    """So small a deviation changes nothing."""


def recommended(number: float, replicas: int, config: Config) -> int:
    """Replicas that share the number so that each has the threshold; the present ones while they nearly do."""
    if abs(number / (config.threshold * replicas) - 1) <= config.tolerance:
        return replicas
    return math.ceil(number / config.threshold)


def limited(recommendation: int, lowest: int) -> int:
    """The upward limit of Kubernetes: the replicas of 15 seconds ago doubled, or four more, whichever is more."""
    return min(recommendation, max(2 * lowest, lowest + 4))


class QueueRule:
    """The rule with its metrics. `number` says what Prometheus is asked for."""

    def __init__(self, config: Config, number: Callable[[Truth], float], line: Line, seed: int) -> None:
        self._config = config
        self._number = number
        self._wire: Wire[float] = Wire(line, Random(seed))  # noqa: S311  # chance that can be repeated
        self._recommendations: deque[tuple[float, int]] = deque()
        self._active_at = 0.0

    def decide(self, truth: Truth) -> int:
        """Called each second. Returns: replicas that there shall be."""
        now, config = truth.now, self._config
        if (now + config.scrape_s / 2) % config.scrape_s < 1:
            self._wire.send(now, self._number(truth))
        arrived = self._wire.latest(now)
        if arrived is None:
            return truth.target
        number, target = arrived[1], truth.target
        if now % config.polling_s < 1:
            target = self._awake(number, target, now)
        if target and now % config.sync_s < 1:
            target = self._synced(number, target, now)
        return max(config.min_replicas, min(target, config.max_replicas))

    def _awake(self, number: float, target: int, now: float) -> int:
        if number > 0:
            self._active_at = now
            return max(1, target)
        if self._config.min_replicas == 0 and now - self._active_at >= self._config.cooldown_s:
            return 0
        return target

    def _synced(self, number: float, target: int, now: float) -> int:
        # A model that KEDA lets sleep has still one replica as its least while it is awake.
        recommendation = max(1, recommended(number, target, self._config))
        if not self._recommendations:
            self._recommendations.append((now, target))
        while self._recommendations and self._recommendations[0][0] <= now - self._config.stabilization_s:
            self._recommendations.popleft()
        self._recommendations.append((now, recommendation))
        if recommendation >= target:
            return limited(recommendation, target)
        return min(target, max(number for _, number in self._recommendations))
