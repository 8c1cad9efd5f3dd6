"""The least waiting that a rule can reach within the replica time that Penstock took. Used by `table`.

One target gives one pair of waiting and replica time, and two policies with the same target seldom cost the same. So
the target of the rule is varied, and the best of what costs no more is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from penstock.scaling.replay.scenarios import RULES, Scenario, play
from penstock.scaling.replay.score import Score, score

TARGETS = (8, 12, 14, 16, 17, 18, 20, 24)
"""Targets that are tried; from more and emptier replicas to fewer and fuller ones."""


class Match(NamedTuple):
    """A rule with a target, and what it reached."""

    rule: str
    target: int
    score: Score


def best_within(scenario: Scenario, replica_hours: float, rules: Iterable[str]) -> Match | None:
    """The match with the least mean wait that takes at most `replica_hours`; None where all take more."""
    matches = [
        Match(rule, target, score(play(scenario, RULES[rule], target), scenario.curve()))
        for rule in rules
        for target in TARGETS
    ]
    affordable = [match for match in matches if match.score.replica_hours <= replica_hours]
    return min(affordable, key=lambda match: match.score.mean_s, default=None)
