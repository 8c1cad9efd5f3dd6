"""Ray Serve's default autoscaling policy, as of Ray 2.60, without Ray. Used by `scenarios`.

The mean of requests in progress over the look-back period is divided by the target per replica; a change must have been
asked for without a break for a delay before it is made.
"""

from __future__ import annotations

import math
from collections import deque
from random import Random
from typing import NamedTuple

from penstock.scaling.replay import engine
from penstock.scaling.replay.reports import Line, Wire
from penstock.scaling.replay.rivals import ray_mean
from penstock.scaling.replay.world import Truth

_TOLERANCE_S = 1e-6
_HANDLES = 2


class Config(NamedTuple):
    """The fields of Ray's `AutoscalingConfig` that count here, under its names and with its defaults, but for the
    target: Ray's is 2, which suits no language model."""

    min_replicas: int = 1
    max_replicas: int = 1
    target_ongoing_requests: float = engine.TARGET
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0
    downscale_to_zero_delay_s: float | None = None
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    look_back_period_s: float = 30.0
    metrics_interval_s: float = 10.0


class Pending(NamedTuple):
    """A change that is asked for and not made yet."""

    direction: int = 0
    """1 for more, -1 for fewer, 0 for none."""
    since: float | None = None
    """When it was asked for first, in seconds."""


def wanted(total: float, running: int, target: int, config: Config) -> float:
    """Replicas at which each running one has the target; the present target while none runs."""
    return total / config.target_ongoing_requests if running else target


def scaled(desired: float, running: int, config: Config) -> int:
    """The factors' share of the way from the running replicas to the desired ones, rounded up."""
    if running == 0:
        return math.ceil(desired)
    way = desired - running
    number = math.ceil(running + (config.upscaling_factor if way > 0 else config.downscaling_factor) * way)
    if math.ceil(desired) < running and number == running:
        number -= 1
    return number


def delayed(desired: int, target: int, config: Config, pending: Pending, now: float) -> tuple[int, Pending]:
    """The target that holds now, and the change that is still to wait for."""
    if desired == target:
        return target, Pending()
    direction = 1 if desired > target else -1
    since = pending.since if pending.direction == direction and pending.since is not None else now
    delay = config.upscale_delay_s
    if direction < 0:
        delay = config.downscale_delay_s
        if target == 1:
            to_zero = config.downscale_to_zero_delay_s
            delay = delay if to_zero is None else to_zero
        else:
            desired = max(1, desired)
    if now - since + _TOLERANCE_S >= delay:
        return desired, Pending()
    return target, Pending(direction, since)


class RayDefault:
    """The policy with its metrics: handles note the load every six seconds and send the last half minute of it every
    ten. Handles that say nothing for twice that are forgotten."""

    def __init__(self, config: Config, line: Line, seed: int) -> None:
        self._config = config
        self._pending = Pending()
        chance = Random(seed)  # noqa: S311  # chance that can be repeated
        self._handles = [
            _Handle(config, line, chance, phase=place * config.metrics_interval_s / _HANDLES)
            for place in range(_HANDLES)
        ]
        self._sent: list[float] = []
        self._series: ray_mean.Series = []
        self._since: float | None = None

    def decide(self, truth: Truth) -> int:
        """Called each second. Returns: replicas that there shall be."""
        for handle in self._handles:
            handle.note(truth)
        self._read(truth.now)
        total = ray_mean.mean(self._series, self._since, truth.now)
        return self._bounded(self._next(total, truth))

    def _next(self, total: float, truth: Truth) -> int:
        config = self._config
        if truth.ready == 0 and total > 0:
            return max(math.ceil(config.upscaling_factor), truth.target)
        desired = scaled(wanted(total, truth.ready, truth.target, config), truth.ready, config)
        if truth.ready == 0 and desired > 0:
            return desired
        target, self._pending = delayed(max(0, desired), truth.target, config, self._pending, truth.now)
        return target

    def _bounded(self, target: int) -> int:
        return max(self._config.min_replicas, min(target, self._config.max_replicas))

    def _read(self, now: float) -> None:
        arrived = [report for handle in self._handles if (report := handle.wire.latest(now))]
        sent = [at for at, _ in arrived]
        if sent != self._sent:
            self._sent = sent
            self._series, self._since = ray_mean.merged([series for _, report in arrived for series in report])


class _Handle:
    """One gateway's share of the load, as it reports it: two series, what waits and what runs."""

    def __init__(self, config: Config, line: Line, chance: Random, phase: float) -> None:
        self._config = config
        self._phase = phase
        self._record_s = min(config.look_back_period_s * 0.2, config.metrics_interval_s)
        self._points: deque[tuple[float, float, float]] = deque()
        self.wire: Wire[tuple[ray_mean.Series, ray_mean.Series]] = Wire(
            line, chance, forgotten_after_s=max(2 * config.metrics_interval_s, 10.0)
        )

    def note(self, truth: Truth) -> None:
        now, config = truth.now, self._config
        if (now + self._phase) % self._record_s < 1:
            self._points.append((now, truth.waiting / _HANDLES, truth.in_progress / _HANDLES))
        # With no replica Ray sends a report with each request that comes, but of the load as it was last noted.
        waking = truth.ready == 0 and truth.waiting > 0
        if waking or (now + self._phase) % config.metrics_interval_s < 1:
            while self._points and self._points[0][0] < now - config.look_back_period_s:
                self._points.popleft()
            points = list(self._points) or [(now, truth.waiting / _HANDLES, truth.in_progress / _HANDLES)]
            self.wire.send(
                now, ([(time, held) for time, held, _ in points], [(time, runs) for time, _, runs in points])
            )
