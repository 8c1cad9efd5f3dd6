"""A model in virtual time: replicas that take their time to start, a load, and the policy deciding every period."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from penstock.scaling.observation import Observation, Report, Settings
from penstock.scaling.policy import INITIAL, PERIOD, Decision, decide

Load = Callable[[float], float]
"""Requests in progress at a time, however many replicas there are: as many clients, each with one."""


class Moment(NamedTuple):
    """What was decided when."""

    at: float
    decision: Decision

    @property
    def replicas(self) -> int:
        return self.decision.replicas


def spread(load: float, names: list[str], *, kv_usage: float = 0.0, queued: float = 0.0) -> dict[str, Report]:
    """Reports of replicas that share a load evenly."""
    return {name: Report(load / len(names), queued / len(names), kv_usage) for name in names}


def live(
    load: Load, settings: Settings, *, began_with: int, start: float, seconds: float, kv_usage: float = 0.0
) -> Iterator[Moment]:
    """What the policy decides, from 0 to `seconds`, on replicas that take `start` seconds to be ready."""
    state, ready = INITIAL, [0.0] * began_with
    for step in range(int(seconds / PERIOD) + 1):
        now = step * PERIOD
        names = [f"replica-{place}" for place, at in enumerate(ready) if at <= now]
        seen = Observation(
            now=now,
            asked=len(ready),
            running=frozenset(names),
            reports=spread(load(now), names, kv_usage=kv_usage, queued=1.0 if kv_usage else 0.0) if names else {},
            waiting=0.0 if names else load(now),
            start_seconds=start,
        )
        decision = decide(seen, settings, state)
        state = decision.state
        ready = [*ready[: decision.replicas], *[now + start] * (decision.replicas - len(ready))]
        yield Moment(now, decision)


def changes(moments: list[Moment]) -> list[tuple[float, int]]:
    """When the number became another, and which."""
    return [
        (moment.at, moment.replicas)
        for before, moment in itertools.pairwise(moments)
        if moment.replicas != before.replicas
    ]
