"""Replicas that are alike, counted together: what they run and when it will be done. Used by `fleet`.

Up to `fleet.MOST_GROUPS` replicas each is a group of its own, so that nothing is lost by counting; beyond that, the
oldest are put together, as their loads are nearly equal by then.
"""

from __future__ import annotations

import math

from penstock.scaling.replay import engine

_BUCKET_S = 0.25
"""Requests that end within so much work of each other end together."""

_WORKS = tuple(max(1, round(work / _BUCKET_S)) for work in engine.WORKS)


class Group:
    """Replicas that became ready together, with their requests.

    All requests of a group go on at one speed, so each ends when the group's clock, which runs at that speed, shows
    the time at which it began and its work on top.
    """

    def __init__(self, serial: int, count: int) -> None:
        self.serial = serial
        self.count = count
        self.running = 0
        self._clock = 0.0
        self._ended = 0
        self._ends: dict[int, int] = {}

    @property
    def load(self) -> float:
        """Requests per replica."""
        return self.running / self.count

    @property
    def room(self) -> int:
        """Requests that fit in besides."""
        return self.count * engine.LIMIT - self.running

    def take(self, requests: bytes) -> None:
        """Begins with requests, each an index of its work."""
        now = math.ceil(self._clock / _BUCKET_S)
        ends = self._ends
        for kind in requests:
            end = now + _WORKS[kind]
            ends[end] = ends.get(end, 0) + 1
        self.running += len(requests)

    def advance(self, seconds: float) -> None:
        """Goes on for a while at the speed of the present load."""
        if not self.running:
            return
        self._clock += seconds * engine.speed(self.load)
        reached = int(self._clock / _BUCKET_S)
        for end in range(self._ended + 1, reached + 1):
            self.running -= self._ends.pop(end, 0)
        self._ended = max(reached, self._ended)

    def split(self, serial: int, count: int) -> Group:
        """Takes replicas out, with their share of the requests."""
        part = Group(serial, count)
        part._clock, part._ended = self._clock, self._ended
        due, gone = 0.0, 0
        for end, requests in sorted(self._ends.items()):
            due += requests * count / self.count
            share = min(requests, math.floor(due + 0.5) - gone)
            gone += share
            if share:
                part._ends[end] = share
                self._ends[end] -= share
        part.running = gone
        self.running -= gone
        self.count -= count
        return part

    def absorb(self, other: Group) -> None:
        """Puts another group into this one; its requests keep the work that is left to them."""
        shift = self._ended - other._ended
        for end, requests in other._ends.items():
            self._ends[end + shift] = self._ends.get(end + shift, 0) + requests
        self.running += other.running
        self.count += other.count
