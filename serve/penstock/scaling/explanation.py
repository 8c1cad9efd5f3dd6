"""Why the number of replicas is what it is: the rule that decided, what was seen, and a sentence that says both.

Made by `policy`; shown by `penstock status --why` and by the gateway's metrics.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from penstock.config.units import format_duration
from penstock.scaling.observation import Settings


class Rule(StrEnum):
    """What decided. A label of metrics, so there are few and they keep their names."""

    FIRST = "first"
    BURST = "burst"
    LOAD = "load"
    KV_CACHE = "kv-cache"
    CONFIRMING = "confirming"
    STEADY = "steady"
    LULL = "lull"
    LESS_LOAD = "less-load"
    IDLE = "idle"
    MISSING_REPORTS = "missing-reports"
    AT_MOST = "at-most"
    AT_LEAST = "at-least"


class Seen(NamedTuple):
    """What the decision was made from."""

    asked: int
    """Replicas asked for before."""
    ready: int
    """Replicas that take requests."""
    starting: int
    in_engines: float
    """Requests that engines work on, of replicas without a report their last known ones."""
    queued: float
    """Requests that engines have accepted and not begun."""
    waiting: float
    """Requests that wait in the gateways."""
    missing: int
    """Replicas that take requests and have not reported lately."""
    kv_usage: float
    """Mean share of the KV cache in use, 0 to 1."""
    needed: int
    """Replicas that the load of this moment needs, whatever the bounds and windows say."""
    idle: float
    """Seconds without a request."""

    @property
    def load(self) -> float:
        """Requests in progress or waiting anywhere."""
        return self.in_engines + self.queued + self.waiting


class Explanation(NamedTuple):
    """Why."""

    rule: Rule
    seen: Seen
    text: str
    """One plain sentence."""


def explain(rule: Rule, replicas: int, seen: Seen, settings: Settings) -> Explanation:
    """Put it into words. `replicas`: the number decided on."""
    return Explanation(rule, seen, f"{_capital(_reason(rule, replicas, seen, settings))}.")


def _reason(rule: Rule, replicas: int, seen: Seen, settings: Settings) -> str:
    load, need = _load(seen), _need(seen, settings)
    up, down = format_duration(settings.upscale_delay), format_duration(settings.downscale_delay)
    to_zero = format_duration(settings.downscale_to_zero_delay)
    reasons = {
        Rule.FIRST: f"{load}, and no replica is there, so {_replicas(replicas)} {_start(replicas)} at once",
        Rule.BURST: f"{need}, seen twice in a row and far more than the {seen.asked} asked for",
        Rule.LOAD: f"{need}, and {seen.asked} {_have(seen.asked)} been too few for {up}",
        Rule.KV_CACHE: (
            f"the KV caches are {seen.kv_usage:.0%} full and {_count(round(seen.queued), 'request')} queue in engines,"
            " so one more replica starts"
        ),
        Rule.CONFIRMING: f"{need}, and more than {seen.asked} will be asked for once that has lasted {up}",
        Rule.STEADY: f"{need}, and {seen.asked} {_are(seen.asked)} asked for",
        Rule.LULL: f"{need}, and fewer than {seen.asked} must suffice for {down} before one stops",
        Rule.LESS_LOAD: f"{need}, and more than {replicas} {_were(replicas)} not needed for {down}",
        Rule.IDLE: f"there was no request for {to_zero}, so no replica is kept",
        Rule.MISSING_REPORTS: f"{seen.missing} of {_replicas(seen.ready)} did not report lately, so none is stopped",
        Rule.AT_MOST: f"{need}, and replicas.max is {settings.most}",
        Rule.AT_LEAST: f"{need}, and replicas.min is {settings.least}",
    }
    if rule is Rule.LULL and seen.asked == 1:
        return (
            f"there was no request for {format_duration(round(seen.idle))}, and the last replica stops after {to_zero}"
        )
    return reasons[rule]


def _load(seen: Seen) -> str:
    if seen.load <= 0:
        return "nothing is in progress or waiting"
    return f"{_count(max(round(seen.load), 1), 'request')} in progress or waiting"


def _need(seen: Seen, settings: Settings) -> str:
    if seen.load <= 0:
        return _load(seen)
    verb = "needs" if round(seen.load) <= 1 else "need"
    return f"{_load(seen)} {verb} {_replicas(seen.needed)} at {settings.target} each"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _replicas(number: int) -> str:
    return _count(number, "replica")


def _start(number: int) -> str:
    return "starts" if number == 1 else "start"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
