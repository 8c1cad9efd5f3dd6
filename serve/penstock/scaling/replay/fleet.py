"""The replicas of one model in the replay: they start, serve, drain and die. Used by `world`."""

from __future__ import annotations

import math
from collections import deque
from random import Random
from statistics import fmean
from typing import NamedTuple

from penstock.scaling.replay.group import Group

MOST_GROUPS = 24
"""So many groups are kept at most: up to so many replicas each one stands for itself."""


class Hardware(NamedTuple):
    """What replicas need and suffer."""

    start_s: tuple[float, float, float] = (90.0, 120.0, 240.0)
    """Least, usual and most seconds of a start: a node may be there or may have to come."""

    hours_between_deaths: float = 0.0
    """Mean hours that a replica lives; 0 is for ever."""


class Fleet:
    """Replicas that start, serve, and drain, kept at the number that was asked for."""

    def __init__(self, hardware: Hardware, ready: int, seed: int) -> None:
        self._hardware = hardware
        self._seed = seed
        self._chance = Random(seed)  # noqa: S311  # chance that can be repeated
        self._serial = 0
        self._starting: list[tuple[float, float]] = []
        """When each becomes ready, and when it began; in order of the beginning."""
        self._draining: list[Group] = []
        self._took: deque[float] = deque(maxlen=10)
        self.groups: list[Group] = []
        if ready:
            self.groups.append(Group(self._next(), ready))
            while len(self.groups) < MOST_GROUPS and self.groups[0].count > 1:
                self.groups.append(self.groups[0].split(self._next(), 1))

    @property
    def starting(self) -> int:
        """Replicas on their way."""
        return len(self._starting)

    @property
    def start_seconds(self) -> float | None:
        """Mean time that the last starts took; None before there were any."""
        return fmean(self._took) if self._took else None

    @property
    def ready(self) -> int:
        """Replicas that take requests."""
        return sum(group.count for group in self.groups)

    @property
    def unanswered(self) -> int:
        """Requests that replicas run, those that drain included."""
        return sum(group.running for group in self.groups) + sum(group.running for group in self._draining)

    @property
    def present(self) -> int:
        """Replicas that cost something: those that start and those that drain too."""
        return self.starting + self.ready + sum(group.count for group in self._draining)

    def follow(self, target: int, now: float) -> None:
        """Starts or stops what the target says. As with Ray, those that start are stopped first, then the newest."""
        missing = target - self.starting - self.ready
        for _ in range(missing):
            # A replica's start takes equally long whichever policy asks for it.
            draw = Random(self._seed * 1_000_003 + self._next())  # noqa: S311
            least, usual, most = self._hardware.start_s
            takes = draw.triangular(least, most, usual)
            self._starting.append((now + takes, now))
        for _ in range(min(-missing, self.starting)):
            missing += 1
            self._starting.pop()
        while missing < 0:
            newest = self.groups[-1]
            count = min(-missing, newest.count)
            self._draining.append(self._part(newest, count))
            missing += count

    def advance(self, now: float, seconds: float) -> None:
        """Lets time pass: requests go on, replicas become ready, drain away or die."""
        for group in self.groups:
            group.advance(seconds)
        for group in self._draining:
            group.advance(seconds)
        self._draining = [group for group in self._draining if group.running]
        arrived = [ready - began for ready, began in self._starting if ready <= now]
        if arrived:
            self._took.extend(arrived)
            self._starting = [start for start in self._starting if start[0] > now]
            self._admit(len(arrived))
        if self._hardware.hours_between_deaths and self.ready:
            chance = self.ready * seconds / (self._hardware.hours_between_deaths * 3600)
            if self._chance.random() < chance:
                victim = self._chance.choices(self.groups, [group.count for group in self.groups])[0]
                self._part(victim, 1)

    def take(self, requests: bytes) -> list[tuple[float, int]]:
        """Gives as many of the requests to replicas as these have room for, each to the one with the least.

        Returns: for each group that got some, its load before and how many it got; in the order of the requests.
        """
        given: list[tuple[float, int]] = []
        place = 0
        for group, quota in self._quotas(len(requests)):
            given.append((group.load, quota))
            group.take(requests[place : place + quota])
            place += quota
        return given

    def _quotas(self, requests: int) -> list[tuple[Group, int]]:
        """Fills from the bottom, as water does."""
        if requests == 1 or len(self.groups) == 1:
            least = min(self.groups, key=lambda group: group.load, default=None)
            return [(least, min(requests, least.room))] if least and least.room else []
        rising = sorted((group for group in self.groups if group.room), key=lambda group: group.load)
        count, running = 0, 0
        level = 0.0
        for place, group in enumerate(rising):
            count += group.count
            running += group.running
            level = (running + requests) / count
            if place + 1 < len(rising) and rising[place + 1].load >= level:
                break
        whole = math.floor(level)
        quotas = [max(0, min(group.room, whole * group.count - group.running)) for group in rising]
        left = requests - sum(quotas)
        for place, group in enumerate(rising):
            # The rest is less than one for each replica.
            over = (whole + 1) * group.count - group.running - quotas[place]
            more = max(0, min(left, group.room - quotas[place], over))
            quotas[place] += more
            left -= more
        return [(group, quota) for group, quota in zip(rising, quotas, strict=True) if quota]

    def _admit(self, count: int) -> None:
        if count > MOST_GROUPS:
            self.groups.append(Group(self._next(), count))
        else:
            self.groups.extend(Group(self._next(), 1) for _ in range(count))
        while len(self.groups) > MOST_GROUPS:
            self.groups[0].absorb(self.groups.pop(1))

    def _part(self, group: Group, count: int) -> Group:
        if count < group.count:
            return group.split(self._next(), count)
        self.groups.remove(group)
        return group

    def _next(self) -> int:
        self._serial += 1
        return self._serial
