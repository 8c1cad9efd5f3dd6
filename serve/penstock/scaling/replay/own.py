"""Penstock's policy in the replay, with its metrics as they come on Ray: engines and gateways report every second, and
what waits is the mean of two. Used by `scenarios`."""

from __future__ import annotations

from random import Random
from statistics import fmean

from penstock.scaling.observation import Observation, Report, Settings
from penstock.scaling.policy import PERIOD, State, decide
from penstock.scaling.replay import engine
from penstock.scaling.replay.reports import Line, Wire
from penstock.scaling.replay.world import Truth

_GATEWAYS = 2


class Own:
    """The policy, its memory, and the reports that it goes by."""

    def __init__(self, settings: Settings, line: Line, seed: int) -> None:
        self._settings = settings
        self._line = line
        self._chance = Random(seed)  # noqa: S311  # chance that can be repeated
        self._state = State()
        self._target: int | None = None
        self._waited = 0
        self._engines: dict[int, Wire[float]] = {}
        """By serial number; what one replica of a group runs."""
        self._gateways: list[Wire[float]] = [Wire(line, self._chance) for _ in range(_GATEWAYS)]

    def decide(self, truth: Truth) -> int:
        """Called each second. Returns: replicas that there shall be."""
        self._report(truth)
        if self._target is None or truth.now % PERIOD < 1:
            decision = decide(self._seen(truth), self._settings, self._state)
            self._state, self._target = decision.state, decision.replicas
        return self._target

    def _report(self, truth: Truth) -> None:
        for gateway in self._gateways:
            gateway.send(truth.now, (self._waited + truth.waiting) / 2 / _GATEWAYS)
        self._waited = truth.waiting
        present = set()
        for serial, count, running in truth.replicas:
            present.add(serial)
            engine_wire = self._engines.setdefault(serial, Wire(self._line, self._chance))
            engine_wire.send(truth.now, running / count)
        for serial in self._engines.keys() - present:
            del self._engines[serial]

    def _seen(self, truth: Truth) -> Observation:
        now = truth.now
        running: list[str] = []
        reports: dict[str, Report] = {}
        for serial, count, _ in truth.replicas:
            names = [f"{serial}.{place}" for place in range(count)]
            running += names
            if arrived := self._engines[serial].latest(now):
                sent, load = arrived
                report = Report(
                    running=load,
                    queued=0.0,
                    kv_usage=min(1.0, load / engine.LIMIT),
                    request_seconds=fmean(engine.WORKS) / engine.speed(load) if load else None,
                    age=now - sent - self._line.delay_s,
                )
                reports.update(dict.fromkeys(names, report))
        return Observation(
            now=now,
            asked=truth.target,
            running=frozenset(running),
            reports=reports,
            waiting=sum(arrived[1] for gateway in self._gateways if (arrived := gateway.latest(now))),
            start_seconds=truth.start_seconds,
        )
