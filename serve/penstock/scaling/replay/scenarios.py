"""What is replayed: load curves with their surroundings, and the policies that meet them. Used by `table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from penstock.scaling.observation import Settings
from penstock.scaling.replay import curves, engine
from penstock.scaling.replay.curves import HOUR, MINUTE, Curve
from penstock.scaling.replay.fleet import Fleet, Hardware
from penstock.scaling.replay.own import Own
from penstock.scaling.replay.reports import Line
from penstock.scaling.replay.requests import Source, crowd, strangers
from penstock.scaling.replay.rivals.queue_rule import Config as QueueConfig
from penstock.scaling.replay.rivals.queue_rule import QueueRule
from penstock.scaling.replay.rivals.ray_default import Config as RayConfig
from penstock.scaling.replay.rivals.ray_default import RayDefault
from penstock.scaling.replay.world import Policy, Run, replay

SEED = 20261121
"""Of all chance, so that a run can be repeated."""

_LEAD_IN = 15 * MINUTE
"""The first load of a curve lasts so long before anything is counted, so that all policies know it."""


class Scenario(NamedTuple):
    """A load curve and what surrounds it."""

    about: str
    """The load, for the table; 1 is what keeps one replica at its target."""
    draw: Callable[[], Curve]
    most: int
    least: int = 1
    initial: int = 1
    """Replicas that are ready at the beginning."""
    hardware: Hardware = Hardware()
    line: Line = Line()
    ask: Callable[[Curve, int], Source] = strangers
    """Who asks."""

    def curve(self) -> Curve:
        """The load in each second, drawn once."""
        return _drawn(self.draw)


@cache
def _drawn(draw: Callable[[], Curve]) -> Curve:
    return draw()


@cache
def _strangers(draw: Callable[[], Curve]) -> Source:
    return strangers(_led_in(_drawn(draw)), SEED)


def _led_in(curve: Curve) -> Curve:
    return curve[:1] * _LEAD_IN + curve


SCENARIOS: Mapping[str, Scenario] = {
    "crowd": Scenario(
        "nobody, and from minute 5 on 64 clients with one request each at any time, which is 4",
        lambda: curves.step(0, 4, 5 * MINUTE, HOUR),
        most=32,
        least=0,
        initial=0,
        ask=crowd,
    ),
    "step": Scenario(
        "nothing, and from minute 5 on 4", lambda: curves.step(0, 4, 5 * MINUTE, HOUR), most=32, least=0, initial=0
    ),
    "spike": Scenario(
        "2, and for 6 minutes of an hour and a half 10",
        lambda: curves.spike(2, 10, 20 * MINUTE, 6 * MINUTE, 90 * MINUTE),
        most=40,
        initial=2,
    ),
    "ramp": Scenario(
        "1 to 20 within 30 minutes, half an hour there, and down again",
        lambda: curves.ramp(1, 20, rising=30 * MINUTE, staying=30 * MINUTE, falling=30 * MINUTE, after=30 * MINUTE),
        most=32,
    ),
    "day": Scenario("24 hours between 2 and 40, with noise", lambda: curves.day(2, 40, SEED), most=64, initial=2),
    "on and off": Scenario(
        "2 for 10 minutes after 40 minutes of nothing, five times",
        lambda: curves.on_and_off(2, 10 * MINUTE, 40 * MINUTE, 5),
        most=16,
        least=0,
        initial=0,
    ),
    "bursty": Scenario(
        "3 for 8 minutes, 8 for 5 or 20 for 3 (means), in random turns, 4 hours",
        lambda: curves.bursty((3, 8, 20), (8 * MINUTE, 5 * MINUTE, 3 * MINUTE), 4 * HOUR, SEED),
        most=64,
        initial=3,
    ),
    "constant": Scenario("5 for two hours", lambda: curves.constant(5, 2 * HOUR), most=16, initial=5),
    "failures": Scenario(
        "10 for three hours; a replica lives 3 hours, a tenth of all reports are lost",
        lambda: curves.constant(10, 3 * HOUR),
        most=20,
        initial=10,
        hardware=Hardware(hours_between_deaths=3),
        line=Line(delay_s=2, lost=0.1),
    ),
    "thousand": Scenario(
        "1 to 900 within 30 minutes, 20 minutes there, and down again",
        lambda: curves.ramp(1, 900, rising=30 * MINUTE, staying=20 * MINUTE, falling=30 * MINUTE, after=20 * MINUTE),
        most=1000,
    ),
}


class Rule(NamedTuple):
    """A policy before it is given a scenario and a target."""

    about: str
    make: Callable[[Scenario, float], Policy]


def _settings(scenario: Scenario, target: float) -> Settings:
    return Settings(least=scenario.least, most=scenario.most, target=round(target))


def _ray(scenario: Scenario, target: float) -> RayConfig:
    return RayConfig(scenario.least, scenario.most, target)


def _ray_with_own_windows(scenario: Scenario, target: float) -> RayConfig:
    own = Settings()
    return _ray(scenario, target)._replace(
        upscale_delay_s=own.upscale_delay,
        downscale_delay_s=own.downscale_delay,
        downscale_to_zero_delay_s=own.downscale_to_zero_delay,
    )


def _keda(scenario: Scenario, threshold: float) -> QueueConfig:
    return QueueConfig(threshold, scenario.least, scenario.most)


OWN, RAY, RAY_TUNED, KEDA, KEDA_QUEUE = "Penstock", "Ray", "Ray, our windows", "KEDA, in progress", "KEDA, waiting"

RULES: Mapping[str, Rule] = {
    OWN: Rule(
        "`scaling/policy` with the defaults of the document",
        lambda scenario, target: Own(_settings(scenario, target), scenario.line, SEED),
    ),
    RAY: Rule(
        "Ray Serve's default policy with its default windows",
        lambda scenario, target: RayDefault(_ray(scenario, target), scenario.line, SEED),
    ),
    RAY_TUNED: Rule(
        "the same policy with Penstock's windows",
        lambda scenario, target: RayDefault(_ray_with_own_windows(scenario, target), scenario.line, SEED),
    ),
    KEDA: Rule(
        "KEDA and the pod autoscaler on requests that run or wait, 16 per replica",
        lambda scenario, target: QueueRule(
            _keda(scenario, target), lambda truth: truth.waiting + truth.in_progress, scenario.line, SEED
        ),
    ),
    KEDA_QUEUE: Rule(
        "the same on requests that wait, 5 per replica",
        lambda scenario, _: QueueRule(_keda(scenario, 5), lambda truth: truth.waiting, scenario.line, SEED),
    ),
}


def play(scenario: Scenario, rule: Rule, target: float = engine.TARGET) -> Run:
    """Plays a scenario under a rule that aims at `target` requests in progress per replica."""
    curve = scenario.curve()
    # What strangers ask depends on nobody's answers, so it is drawn once for all policies.
    source = _strangers(scenario.draw) if scenario.ask is strangers else scenario.ask(_led_in(curve), SEED)
    fleet = Fleet(scenario.hardware, scenario.initial, SEED)
    return replay(source, rule.make(scenario, target), fleet, lead_in=_LEAD_IN, seconds=_LEAD_IN + len(curve))
