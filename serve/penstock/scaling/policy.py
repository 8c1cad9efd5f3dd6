"""How many replicas a model should have. A pure function, called every `PERIOD` by `adapter`, and by the replay.

What it holds to:
- the aim is `target` requests in progress per replica; what waits in gateways and engines counts as well;
- growing is quick: from nothing at once, at twice what is asked for as soon as it was seen twice, else after the load
  has needed more for the whole upscale delay. Replicas on their way count as if they were there, and while there are
  some, it counts how fast requests become more rather than how many have piled up;
- shrinking is slow: the highest need within the downscale delay decides, so one lull stops nothing;
- between "too few" and "enough" lies a band in which nothing changes, so a load at a boundary does not flap;
- a full KV cache with requests queueing before it asks for one more replica at a time, whatever the requests say;
- a replica that does not report is no idle replica: while one is missing, none is stopped;
- time is its own: the sum of steps between decisions, each within bounds. A clock that jumps cannot run a window out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

from penstock.scaling.explanation import Explanation, Rule, Seen, explain
from penstock.scaling.observation import Observation, Report, Settings
from penstock.scaling.windows import Course, Window

PERIOD = 2.0
"""Seconds between two decisions. Reports come every second."""
STALE = 10.0
"""A report older than so many seconds says nothing of now."""
TOLERANCE = 0.1
"""Share of the target by which replicas may be overloaded before one more is asked for."""
BURST = 2.0
"""So many times what is asked for is needed: too much to wait for the upscale delay."""
RISE = 20.0
"""Seconds over which it is seen how fast requests become more."""
HEADROOM = 2.0
"""So many times what comes is made room for while it waits: once to serve it, once to work off what has piled up."""
KV_SETTLE = 30.0
"""Seconds that KV caches must be full before one more replica starts: the last one needs time to take its share."""
KV_BAND = 0.2
"""So far below the threshold KV caches must be before fewer replicas are thought to hold what they hold."""
LONGEST_STEP = 30.0
"""Seconds that pass at most between two decisions, whatever the clock says."""


class State(NamedTuple):
    """What the policy remembers from one decision to the next. Times are seconds of its own clock."""

    clock: float = 0.0
    now: float | None = None
    """What the clock of the observation said last."""
    previous: float | None = None
    """Replicas' worth of load that was seen last."""
    low: Window = Window()
    high: Window = Window()
    busy: float = 0.0
    """When a request was seen last."""
    full: float | None = None
    """Since when the KV caches are full."""
    known: Mapping[str, Report] = MappingProxyType({})
    """The last report of each replica that runs."""
    course: Course = Course()
    """Requests in progress or waiting, lately."""


INITIAL = State()
"""Where nothing was seen yet."""


class Decision(NamedTuple):
    """The number, why, and what to hand in with the next observation."""

    replicas: int
    explanation: Explanation
    state: State


def decide(seen: Observation, settings: Settings, state: State = INITIAL) -> Decision:
    """Replicas that there should be, from `settings.least` to `settings.most`.

    Args:
        state: what the last decision gave; nothing where there was none, or after a change of settings.
    """
    step = 0.0 if state.now is None else min(max(seen.now - state.now, 0.0), LONGEST_STEP)
    clock = state.clock + step
    load = _measure(seen, settings, state, clock)
    lowest, low = state.low.lowest(clock, load.growing, settings.upscale_delay)
    highest, high = state.high.highest(clock, load.shrinking, settings.downscale_delay)
    busy = clock if load.possible > 0 else state.busy
    full = _full_since(load, seen, settings, state.full, clock)

    facts = load.seen._replace(idle=clock - busy)
    rule, wanted = _more(
        seen.asked,
        now=load.growing,
        twice=min(load.growing, state.previous or 0.0),
        lasting=lowest if clock >= settings.upscale_delay else 0.0,
    )
    if wanted <= seen.asked and _kv_caches_ask(facts, settings, full, clock):
        rule, wanted = Rule.KV_CACHE, seen.asked + 1
    elif rule is Rule.STEADY:
        rule, wanted = _fewer(facts, math.ceil(highest), clock, settings)
    rule, wanted = _bounded(rule, wanted, settings)
    remembered = State(clock, seen.now, load.growing, low, high, busy, full, load.known, load.course)
    return Decision(wanted, explain(rule, wanted, facts, settings), remembered)


class _Load(NamedTuple):
    """What was seen, in replicas' worth."""

    growing: float
    """Requests that are surely there, what waits only so far as more replicas can help it."""
    possible: float
    """Requests that may be there."""
    shrinking: float
    """The same, or what the KV caches hold where that is more."""
    seen: Seen
    known: Mapping[str, Report]
    course: Course


def _measure(seen: Observation, settings: Settings, state: State, clock: float) -> _Load:
    known = state.known
    fresh = {name: seen.reports[name] for name in seen.running if name in seen.reports and _is_fresh(seen, name)}
    late = seen.running - fresh.keys()
    # Of a replica that says nothing now, what it said last; of one that never did, nothing for growing, since it may
    # have started a moment ago, and its full share for shrinking.
    remembered = {name: known.get(name) or seen.reports[name] for name in late if name in known or name in seen.reports}
    reports = [*fresh.values(), *remembered.values()]
    silent = len(late) - len(remembered)
    running = sum(report.running for report in reports)
    queued = sum(report.queued for report in reports)
    starting = max(seen.asked - len(seen.running), 0)
    target = settings.target
    behind = queued + seen.waiting
    times = [report.request_seconds for report in fresh.values() if report.request_seconds]
    rise, course = state.course.rise(clock, running + behind, RISE)
    # Without a replica that runs nothing is worked off, and a crowd that waits for its answers comes once only.
    if starting and times and seen.start_seconds:
        behind = _worth_a_start(behind, rise, fmean(times), seen.start_seconds)
    growing = (running + behind) / target
    possible = (running + queued + seen.waiting) / target + silent
    kv_usage = sum(report.kv_usage for report in fresh.values())
    # Caches of idle engines hold nothing that is needed.
    held = min(kv_usage / max(settings.kv_threshold - KV_BAND, KV_BAND), seen.asked) if running + queued > 0 else 0.0
    return _Load(
        growing=growing,
        possible=possible,
        shrinking=max(possible, held),
        seen=Seen(
            asked=seen.asked,
            ready=len(seen.running),
            starting=starting,
            in_engines=running,
            queued=queued,
            waiting=seen.waiting,
            missing=len(late),
            kv_usage=kv_usage / len(fresh) if fresh else 0.0,
            needed=_grown(growing, seen.asked) or min(math.ceil(possible), seen.asked),
            idle=0.0,
        ),
        known={**fresh, **remembered},
        course=course,
    )


def _is_fresh(seen: Observation, name: str) -> bool:
    return seen.reports[name].age <= STALE


def _worth_a_start(behind: float, rise: float, request_seconds: float, start_seconds: float) -> float:
    """Requests in progress to have replicas for on account of those that wait, while some replicas are on their way.

    What waits grows until these are there, though no more comes than before. So what counts in full is what comes: as
    many requests as come in the time that one takes are in progress when all are served. What waits counts for as much
    as has to be in progress to work it off within the time of a start.

    Args:
        behind: requests that wait.
        rise: by how many a second they, and those in progress, have become more.
    """
    return min(behind, HEADROOM * rise * request_seconds + behind / (1 + start_seconds / request_seconds))


def _grown(load: float, asked: int) -> int:
    """Replicas for a load that those asked for cannot bear; 0 where they can."""
    return max(math.ceil(load - TOLERANCE), 1) if load > asked * (1 + TOLERANCE) else 0


def _more(asked: int, *, now: float, twice: float, lasting: float) -> tuple[Rule, int]:
    """
    Args:
        now, twice, lasting: the load of this moment, the lower of this and the last one, the lowest for the whole
            upscale delay.
    """
    if asked == 0 and now > 0:
        return Rule.FIRST, _grown(now, asked)
    burst = _grown(twice, asked) if twice >= BURST * asked else 0
    enough = _grown(lasting, asked)
    if burst > enough:
        return Rule.BURST, burst
    if enough:
        return Rule.LOAD, enough
    return Rule.CONFIRMING if _grown(now, asked) else Rule.STEADY, asked


def _full_since(load: _Load, seen: Observation, settings: Settings, since: float | None, clock: float) -> float | None:
    """Since when the KV caches are full; None while they are not, or while help is on its way."""
    usage = load.seen.kv_usage
    if load.seen.starting or not seen.running or usage < settings.kv_threshold - KV_BAND:
        return None
    if since is None:
        return clock if usage >= settings.kv_threshold and load.seen.queued > 0 else None
    return since


def _kv_caches_ask(seen: Seen, settings: Settings, full: float | None, clock: float) -> bool:
    if full is None or seen.kv_usage < settings.kv_threshold or seen.queued <= 0:
        return False
    return clock - full >= max(settings.upscale_delay, KV_SETTLE)


def _fewer(seen: Seen, highest: int, clock: float, settings: Settings) -> tuple[Rule, int]:
    """
    Args:
        highest: replicas that were needed at some time within the downscale delay.
    """
    idle = settings.least == 0 and seen.idle >= settings.downscale_to_zero_delay
    lasted = clock >= settings.downscale_delay
    # The last one has its own time.
    enough = max(min(highest, seen.asked), 1) if lasted else seen.asked
    if idle and enough <= 1 and seen.asked:
        rule, enough = Rule.IDLE, 0
    elif enough < seen.asked:
        rule = Rule.LESS_LOAD
    else:
        return (Rule.LULL if seen.needed < seen.asked else Rule.STEADY), seen.asked
    return (Rule.MISSING_REPORTS, seen.asked) if seen.missing else (rule, enough)


def _bounded(rule: Rule, wanted: int, settings: Settings) -> tuple[Rule, int]:
    if wanted > settings.most or (rule is Rule.CONFIRMING and wanted == settings.most):
        return Rule.AT_MOST, settings.most
    if wanted < settings.least or (rule is Rule.LULL and wanted == settings.least):
        return Rule.AT_LEAST, settings.least
    return rule, wanted
