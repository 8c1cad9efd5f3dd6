"""The world of the replay: requests come, wait in the gateway, and are served; a policy says how many replicas there
shall be. Called by `scenarios`."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple, Protocol

from penstock.scaling.replay import engine
from penstock.scaling.replay.fleet import Fleet
from penstock.scaling.replay.requests import Source


class Truth(NamedTuple):
    """The state of the world. What a policy's own metrics make of it, late and with gaps, is the policy's affair."""

    now: float
    """Seconds since the beginning."""
    target: int
    """Replicas that were asked for last."""
    starting: int
    """Replicas on their way."""
    start_seconds: float | None
    """Mean time that the last starts took; None before there were any."""
    replicas: tuple[tuple[int, int, int], ...]
    """Those that take requests: a serial number, how many replicas it stands for, and what these run together."""
    waiting: int
    """Requests that wait in the gateway."""

    @property
    def ready(self) -> int:
        """Replicas that take requests."""
        return sum(count for _, count, _ in self.replicas)

    @property
    def in_progress(self) -> int:
        """Requests that replicas run."""
        return sum(running for _, _, running in self.replicas)


class Policy(Protocol):
    """A rule together with the metrics that it goes by."""

    def decide(self, truth: Truth) -> int:
        """Called each second. Returns: replicas that there shall be, within the policy's bounds."""


class Run(NamedTuple):
    """What one policy did with one load curve."""

    targets: list[int]
    """Replicas asked for, each second."""
    ready: list[int]
    """Replicas that took requests, each second."""
    present: list[int]
    """Replicas that cost something, each second."""
    waits: Counter[int]
    """How many requests waited so many `TICK_S` for their first byte. Those still waiting at the end are in it with
    what they had waited by then."""


TICK_S = 0.05
"""The unit in which waiting times are counted."""


def replay(source: Source, policy: Policy, fleet: Fleet, *, lead_in: int, seconds: int) -> Run:
    """Plays so many seconds. What happens in the first `lead_in` of them counts for nothing; it fills the memories."""
    run = Run([], [], [], Counter())
    held: deque[tuple[int, bytes]] = deque()
    waiting = 0
    target = fleet.ready
    for second in range(seconds):
        fleet.advance(second, 1)
        requests = source(second, waiting + fleet.unanswered)
        if requests:
            held.append((second, requests))
            waiting += len(requests)
        while held and fleet.groups:
            came, batch = held.popleft()
            taken = 0
            for load, count in fleet.take(batch):
                taken += count
                if came >= lead_in:
                    run.waits[round((second - came + engine.first_byte_after(load)) / TICK_S)] += count
            waiting -= taken
            if taken < len(batch):
                held.appendleft((came, batch[taken:]))
                break
        target = policy.decide(_truth(second, target, fleet, waiting))
        fleet.follow(target, second)
        if second >= lead_in:
            run.targets.append(target)
            run.ready.append(fleet.ready)
            run.present.append(fleet.present)
    for came, batch in held:
        if came >= lead_in:
            run.waits[round((seconds - came) / TICK_S)] += len(batch)
    return run


def _truth(second: int, target: int, fleet: Fleet, waiting: int) -> Truth:
    return Truth(
        now=second,
        target=target,
        starting=fleet.starting,
        start_seconds=fleet.start_seconds,
        replicas=tuple((group.serial, group.count, group.running) for group in fleet.groups),
        waiting=waiting,
    )
